"""Benchmark tables as JSON, CSV and Markdown."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from tokenunet.benchmark.rows import Machine, Row

_FEWEST_SIZES = 3


def as_json(machine: Machine, rows: Sequence[Row]) -> str:
    """Return all measurements as JSON; ``seconds`` is the median of ``times_s``."""
    values = {"machine": asdict(machine), "rows": [asdict(row) | {"seconds": row.seconds} for row in rows]}
    return json.dumps(values, indent=2) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Return one CSV line per row, with median, fastest and slowest time."""
    lines = [
        {
            **{name: value for name, value in asdict(row).items() if name != "times_s"},
            "seconds": row.seconds,
            "fastest_s": min(row.times_s),
            "slowest_s": max(row.times_s),
        }
        for row in rows
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def as_markdown(machine: Machine, rows: Sequence[Row]) -> str:
    """Return a Markdown table of the rows relative to the hardware peak, the growth exponents and the machine."""
    lines = [
        "| network | size | precision | seconds (from, to) | memory | parameters | GFLOP | times the hardware peak |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_line(row) for row in rows),
        "",
        *(_growth_line(name, precision, group) for (name, precision), group in _groups(rows).items()),
        *_machine_lines(machine),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    size = f"{row.size}³" if row.kind != "case" else "240 x 240 x 155"
    spread = f" ({min(row.times_s):.2f} to {max(row.times_s):.2f})" if len(row.times_s) > 1 else " (once)"
    parameters = f"{row.parameters / 1e6:.2f} M" if row.parameters else ""
    flops = f"{row.flops / 1e9:.0f}" if row.flops else ""
    peak = f"{row.seconds / row.hardware_peak_s:.1f}" if row.hardware_peak_s else ""
    name = f"`{row.name}`" + (f", first progress after {row.first_progress_s:.1f} s" if row.first_progress_s else "")
    return (
        f"| {name} | {size} | {row.precision} | {row.seconds:.2f}{spread} "
        f"| {row.peak_bytes / 1e9:.2f} GB | {parameters} | {flops} | {peak} |"
    )


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows by network and precision that were measured at enough sizes to fit their growth."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.name, row.precision), []).append(row)
    return {key: group for key, group in groups.items() if len({row.size for row in group}) >= _FEWEST_SIZES}


def growth(rows: Sequence[Row]) -> tuple[float, float]:
    """Fit the exponents of time and memory in the number of voxels to the rows of one network; 1 is linear growth."""
    voxels = np.log([row.size**3 for row in rows])
    fitted = (np.polyfit(voxels, np.log([getattr(row, name) for row in rows]), 1) for name in ("seconds", "peak_bytes"))
    time, memory = (float(slope) for slope, _ in fitted)
    return time, memory


def _growth_line(name: str, precision: str, rows: Sequence[Row]) -> str:
    time, memory = growth(rows)
    low, high = min(row.size for row in rows), max(row.size for row in rows)
    return (
        f"`{name}`, {precision}, from {low}³ to {high}³: time grows with the voxels to the power {time:.2f}, "
        f"memory to the power {memory:.2f}.\n"
    )


def _machine_lines(machine: Machine) -> list[str]:
    rates = "; ".join(
        f"{name}: matrix product {c.matrix_flops / 1e9:.0f}, convolution {c.convolution_flops / 1e9:.0f} GFLOP/s"
        for name, c in machine.hardware_peaks.items()
    )
    return [
        f"Machine: {machine.cpu}, {machine.memory_bytes / 1e9:.0f} GB, device {machine.device}, "
        f"PyTorch {machine.torch}.",
        f"Measured hardware peak: {rates}; copying {machine.copy_bytes / 1e9:.0f} GB/s.",
    ]
