"""``tokenunet dataset``: what is wrong with a dataset, before it is trained on."""

import argparse
import json
from pathlib import Path

from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent, ResultEvent
from tokenunet.core.label_schemes import LABEL_SCHEMES, described


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("dataset", help="check labeled patients before training on them")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="read every file and report what is wrong; exits with 3 on errors")
    check.add_argument(
        "data", type=Path, metavar="DIR_OR_CSV", help="a BraTS, FeTS, MSD, nnU-Net or BIDS folder, or a CSV"
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    add_labels_argument(check)
    add_progress_argument(check)
    check.set_defaults(run=_check)


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--labels``, which says what the values of the ground truths mean."""
    parser.add_argument(
        "--labels",
        choices=LABEL_SCHEMES,
        help=f"meaning of the ground truths' values, where it is in doubt: {', '.join(map(described, LABEL_SCHEMES))}",
    )


def _check(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.data import check_dataset, read_dataset

    report = check_dataset(read_dataset(options.data, options.labels or ""), on_event)
    on_event(ResultEvent(str(options.data), report.to_json()))
    if options.progress != "json":  # else the report is in the event
        print(json.dumps(report.to_json(), indent=1) if options.json else report.to_text().rstrip())
    report.raise_errors()
