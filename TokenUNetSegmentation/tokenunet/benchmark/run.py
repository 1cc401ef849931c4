"""Benchmark runs, interleaving networks so that transient slowdowns affect all of them equally."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import torch

from tokenunet.benchmark import cases
from tokenunet.benchmark.hardware_peak import measure_machine
from tokenunet.benchmark.networks import facts, precisions, training_step, window_pass
from tokenunet.benchmark.process import LONGEST_S, Measurement, measure
from tokenunet.benchmark.rows import Kind, Machine, Row
from tokenunet.core.events import OnEvent, Progress, Stage, ignore_events
from tokenunet.runtime.device import fastest_precision


@dataclass
class _Subject:
    """Network or case, and its measurements so far."""

    row: Row
    measure: Callable[[], Measurement]
    measurements: list[Measurement] = field(default_factory=list)

    def run(self) -> None:
        if not self.measurements or self.measurements[0].seconds <= LONGEST_S:
            self.measurements.append(self.measure())

    @property
    def result(self) -> Row:
        return replace(
            self.row,
            times_s=tuple(m.seconds for m in self.measurements),
            peak_bytes=max(m.peak_bytes for m in self.measurements),
            first_progress_s=self.measurements[-1].first_progress_s,
        )


def run_benchmark(
    kind: Kind,
    names: Sequence[str],
    sizes: Sequence[int],
    device: torch.device,
    repeats: int,
    on_event: OnEvent = ignore_events,
) -> tuple[Machine, list[Row]]:
    """Run the benchmark of every name at every size.

    Whole cases have a fixed size.

    Args:
        kind: Kind of work to measure.
        names: Names of networks, or of `cases.CASES`.
        sizes: Sides of the cubes in voxels.
        device: Device to run on.
        repeats: Runs of each, each in its own process after a warm-up.
        on_event: Callback that receives progress; may raise to stop.

    Raises:
        UsageError: If a name is unknown.
        ModuleNotFoundError: If the package of a baseline is not installed.
        TokenUNetError: If a measured process fails.
    """
    progress = Progress(on_event, {Stage.MEASURE: 1.0})
    progress.update(Stage.MEASURE, 0)
    machine = measure_machine(device)
    with tempfile.TemporaryDirectory(prefix="tokenunet-benchmark-") as folder:
        if kind == "case":
            subjects = list(_case_subjects(names, device, Path(folder)))
        else:
            subjects = [s for size in sizes for s in _network_subjects(kind, names, size, device, machine)]
        for turn in range(repeats):
            for place, subject in enumerate(subjects, start=1):
                subject.run()
                progress.update(Stage.MEASURE, (turn + place / len(subjects)) / repeats)
    return machine, [subject.result for subject in subjects]


def _network_subjects(
    kind: Kind, names: Sequence[str], size: int, device: torch.device, machine: Machine
) -> Iterator[_Subject]:
    make = window_pass if kind == "window" else training_step
    for name in names:
        parameters, flops = facts(name, size, training=kind == "train")
        for precision in precisions(device):
            hardware_peak = machine.hardware_peaks.get(precision)
            peak_s = hardware_peak.seconds(flops) if hardware_peak is not None else 0.0
            row = Row(name, kind, size, precision, device.type, (), 0, parameters, flops, peak_s)
            yield _Subject(row, partial(measure, make, (name, size, precision, device), device))


def _case_subjects(names: Sequence[str], device: torch.device, folder: Path) -> Iterator[_Subject]:
    if cases.NNUNET in names:
        import_module("nnunetv2")  # fails before the others are measured
    files = cases.write_case(folder)
    for name in names:
        output = folder / name
        if name in (cases.SEGMENT, cases.SEGMENT_WITH_MAPS):
            with_maps = name == cases.SEGMENT_WITH_MAPS
            row = Row(name, "case", cases.VOXELS, fastest_precision(device), device.type, (), 0)
            yield _Subject(row, partial(cases.run_command, files, output, with_maps, device))
        else:
            make = cases.monai_sliding_window if name == cases.MONAI_SWIN_UNETR else cases.nnunet_predictor
            row = Row(name, "case", cases.VOXELS, "fp32", device.type, (), 0)
            yield _Subject(row, partial(measure, make, (files, output, device), device))
