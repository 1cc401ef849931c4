"""Measures everything that was asked for in one run, the subjects in turn, so that a slow minute hits all of them."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tokenunet.benchmark import cases
from tokenunet.benchmark.ceiling import measure_machine
from tokenunet.benchmark.networks import facts, precisions, training_step, window_pass
from tokenunet.benchmark.process import MeasuredProcess, Measurement
from tokenunet.benchmark.rows import Kind, Machine, Row
from tokenunet.events import OnEvent, Progress, Stage, ignore_events
from tokenunet.inference.device import fastest_precision

_LONGEST_S = 60.0
"""A subject whose first run took longer is not measured again: the whole shall end today."""


@dataclass
class _Subject:
    """Something to be measured, and what was measured of it."""

    row: Row
    measure: Callable[[], Measurement]
    first: Measurement | None = None
    times_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Once; the first run is a warm-up that tells the memory, and the only one where it takes long."""
        if self.first is None:
            self.first = self.measure()
        elif self.first.seconds <= _LONGEST_S:
            self.times_s.append(self.measure().seconds)

    @property
    def result(self) -> Row:
        assert self.first is not None
        return replace(
            self.row,
            times_s=tuple(self.times_s) or (self.first.seconds,),
            peak_bytes=self.first.peak_bytes,
            first_progress_s=self.first.first_progress_s,
        )


def run_benchmark(
    kind: Kind,
    names: Sequence[str],
    sizes: Sequence[int],
    device: torch.device,
    repeats: int,
    on_event: OnEvent = ignore_events,
) -> tuple[Machine, list[Row]]:
    """Measures every name at every size; of whole cases the size is fixed.

    Args:
        kind: what is measured.
        names: in `tokenunet.benchmark.networks.NETWORKS`, or in `cases.CASES`.
        sizes: sides of cubes in voxels.
        device: where.
        repeats: counted runs of each, after a warm-up.
        on_event: receives progress; may raise to stop.

    Raises:
        UsageError: for an unknown name, or a peer that is not installed.
        TokenUNetError: where a measured process fails.
    """
    progress = Progress(on_event, {Stage.MEASURE: 1.0})
    progress.update(Stage.MEASURE, 0)
    machine = measure_machine(device)
    rows: list[Row] = []
    rounds = len(sizes) if kind != "case" else 1
    for number in range(rounds):
        with ExitStack() as stack:
            if kind == "case":
                subjects = list(_case_subjects(names, device, stack))
            else:
                subjects = list(_network_subjects(kind, names, sizes[number], device, machine, stack))
            for turn in range(repeats + 1):
                for place, subject in enumerate(subjects):
                    subject.run()
                    done = (turn * len(subjects) + place + 1) / ((repeats + 1) * len(subjects))
                    progress.update(Stage.MEASURE, (number + done) / rounds)
            rows += [subject.result for subject in subjects]
    return machine, rows


def _network_subjects(
    kind: Kind, names: Sequence[str], size: int, device: torch.device, machine: Machine, stack: ExitStack
) -> Iterator[_Subject]:
    make = window_pass if kind == "window" else training_step
    for name in names:
        parameters, flops = facts(name, size, training=kind == "train")
        for precision in precisions(name, device):
            ceiling_s = machine.ceilings[precision].seconds(flops) if precision in machine.ceilings else 0.0
            row = Row(name, kind, size, precision, device.type, (), 0, parameters, flops, ceiling_s)
            process = stack.enter_context(MeasuredProcess(make, (name, size, precision, device), device))
            yield _Subject(row, process.measure)


def _case_subjects(names: Sequence[str], device: torch.device, stack: ExitStack) -> Iterator[_Subject]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokenunet-benchmark-")))
    files = cases.write_case(folder)
    for name in names:
        if name in (cases.SEGMENT, cases.SEGMENT_WITH_MASKS):
            masks = name == cases.SEGMENT_WITH_MASKS
            measure: Callable[[], Measurement] = functools.partial(
                cases.run_command, files, folder / name, masks, device
            )
            precision = fastest_precision(device)
        else:
            make = cases.monai_sliding_window if name == cases.MONAI_SWIN_UNETR else cases.nnunet_predictor
            measure = stack.enter_context(MeasuredProcess(make, (files, folder / name, device), device)).measure
            precision = "fp32"
        yield _Subject(Row(name, "case", cases.VOXELS, precision, device.type, (), 0), measure)
