"""``tokenunet synth``: synthetic glioma patients as BraTS-style folders."""

import argparse
import sys
from pathlib import Path

from tokenunet.cli.progress import add_progress_argument
from tokenunet.errors import OutputExistsError
from tokenunet.events import OnEvent, Progress, Stage


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("synth", help="make synthetic patients with known truth")
    parser.add_argument("--patients", type=int, default=1, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first patient's seed (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="a folder for each patient goes here")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.synthesis import patient_name, synthetic_patient, write_patient  # brings MONAI, slow to import

    seeds = range(options.seed, options.seed + options.patients)
    existing = [name for name in map(patient_name, seeds) if (options.output / name).exists()]
    if existing:
        raise OutputExistsError(
            f"{options.output} already holds {', '.join(existing[:3])}{' and more' if len(existing) > 3 else ''}.",
            "Choose another folder or another --seed.",
        )
    progress = Progress(on_event, {Stage.WRITE: 1.0})
    for done, seed in enumerate(seeds, start=1):
        folder = write_patient(synthetic_patient(seed), options.output)
        progress.update(Stage.WRITE, done / options.patients)
        print(folder, file=sys.stderr)
