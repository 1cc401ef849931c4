"""Command ``tokenunet benchmark``: time and memory of the networks and the baselines."""

import argparse
from pathlib import Path

from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import OutputExistsError, UsageError
from tokenunet.core.events import OnEvent
from tokenunet.io.files import staging_folder, write_text

_RESULTS = ("benchmark.json", "benchmark.csv", "benchmark.md", "benchmark.svg")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``benchmark`` command."""
    text = "measure time and memory of the networks and the baselines"
    parser = commands.add_parser(
        "benchmark",
        help=text,
        description=f"{text.capitalize()}, relative to the hardware peak of this computer.",
    )
    parser.add_argument(
        "--kind",
        choices=("window", "case", "train"),
        default="window",
        help="what to measure: a forward pass, a patient from files to files, or a training step "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--size", type=int, nargs="+", default=[128], metavar="N", help="sides of the cubes in voxels (default: 128)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks or cases to measure (default: all)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, interleaved (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all figures as JSON")
    parser.add_argument("--output", type=Path, metavar="DIR", help=f"folder for {', '.join(_RESULTS)}")
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier benchmark")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Measure and write the tables and the figure."""
    from tokenunet.benchmark import cases, run_benchmark, tables  # imports PyTorch
    from tokenunet.benchmark.networks import network_names
    from tokenunet.inference.output import check_output
    from tokenunet.runtime.device import resolve_device

    if options.json is not None and options.json.exists() and not options.force:
        raise OutputExistsError(f"{options.json} already exists.", "Choose another name, or use --force.")
    if options.output is not None:
        check_output(options.output, options.force, _RESULTS)
        with extra("benchmark"):  # fails before the long measurement
            from tokenunet.benchmark.figure import draw_rows

    known = cases.CASES if options.kind == "case" else network_names()
    names = options.only or known
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"There is no {', '.join(unknown)} to measure.", f"Choose from {', '.join(known)}.")
    if options.repeats < 1 or any(side < 32 or side % 32 for side in options.size):
        raise UsageError("--repeats must be at least 1, and every --size a multiple of 32.")
    with extra("benchmark"):  # packages of the baselines
        machine, rows = run_benchmark(
            options.kind, names, options.size, resolve_device(options.device), options.repeats, on_event
        )
    text = tables.as_markdown(machine, rows)
    if options.json is not None:
        write_text(options.json, tables.as_json(machine, rows))
    if options.output is not None:
        with staging_folder(options.output, replaces=_RESULTS) as staging:
            (staging / "benchmark.json").write_text(tables.as_json(machine, rows), encoding="utf-8")
            (staging / "benchmark.csv").write_text(tables.as_csv(rows), encoding="utf-8")
            (staging / "benchmark.md").write_text(text, encoding="utf-8")
            (staging / "benchmark.svg").write_bytes(draw_rows(rows))
    if options.progress != "json":
        print(text)
