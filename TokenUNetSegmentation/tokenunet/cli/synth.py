"""``tokenunet synth``: synthetic glioma patients as BraTS-style folders."""

import argparse
from pathlib import Path

from tokenunet.errors import OutputExistsError
from tokenunet.events import OnEvent, ProgressEvent
from tokenunet.cli.progress import add_progress_argument


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("synth", help="make synthetic patients with known truth")
    parser.add_argument("--patients", type=int, default=1, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first patient's seed (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="a folder for each patient goes here")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    raise NotImplementedError
