"""Command ``tokenunet dataset``: checks of a dataset before training."""

import argparse
import json
from pathlib import Path

from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent, ResultEvent
from tokenunet.core.sequences import SEQUENCES
from tokenunet.training.request import add_channels_argument, add_labels_argument


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``dataset`` command."""
    text = "check labeled patients before training on them"
    parser = commands.add_parser("dataset", help=text, description=f"{text.capitalize()}.")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    text = "read every file and report all problems"
    check = actions.add_parser("check", help=text, description=f"{text.capitalize()}. Exits with code 3 on errors.")
    _add_arguments(check)
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=_check)
    text = "list the patients with several cases, which stay in one fold, without reading the images"
    patients = actions.add_parser("patients", help=text, description=f"{text.capitalize()}.")
    _add_arguments(patients)
    patients.set_defaults(run=_patients)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, metavar="DIR_OR_CSV", help="BraTS, FeTS, MSD, nnU-Net or BIDS folder, or CSV file"
    )
    add_labels_argument(parser)
    add_channels_argument(parser)
    add_progress_argument(parser)


def _check(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.data import check_dataset, read_dataset

    dataset = read_dataset(options.data, options.labels or "", options.channels or SEQUENCES)
    report = check_dataset(dataset, on_event)
    on_event(ResultEvent(str(options.data), report.to_json()))
    if options.progress != "json":  # otherwise, the report is part of the event
        print(json.dumps(report.to_json(), indent=1) if options.json else report.to_text().rstrip())
    report.raise_errors()


def _patients(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.data import read_dataset
    from tokenunet.data.report import described_grouping

    dataset = read_dataset(options.data, options.labels or "", options.channels or SEQUENCES)
    on_event(ResultEvent(str(options.data), {"grouping": dataset.grouping}))
    if options.progress != "json":
        print(f"{dataset.folder}: {dataset.layout}, {len(dataset.patients)} patients, {len(dataset.cases)} cases")
        print("\n".join(described_grouping(dataset.grouping)))
