"""Command ``tokenunet adapt``: adapt the shipped model to scans without labels."""

import argparse
from pathlib import Path

from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.cli.train import train
from tokenunet.core.events import OnEvent
from tokenunet.training.request import TrainingRequest

_LABELS, _EXPERIMENT = "pseudo_labels", "experiment"
_MOST_FOLDS = 5


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``adapt`` command."""
    parser = commands.add_parser(
        "adapt",
        help="adapt the shipped model to scans without labels",
        description="Segment scans with the shipped model, keep the confident results as labels, and continue the "
        "training of the model on them, mixed with synthetic patients.",
    )
    parser.add_argument("scans", type=Path, metavar="SCANS", help="folder or CSV of the scans, as for training")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", required=True, help="folder for pseudo_labels and experiment"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of 50 patients (default: the preset's)")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Write the labels and train; one fifth of the scans validates."""
    with extra("train"):
        from tokenunet.bundle.bundle import load_bundle
        from tokenunet.training.pseudo_labels import TABLE, write_pseudo_labels

    labels = options.output / _LABELS
    bundle = load_bundle(find_model(DEFAULT_MODEL))
    used = write_pseudo_labels(options.scans, labels, bundle, options.device, on_event)
    request = TrainingRequest(
        options.output / _EXPERIMENT,
        labels / TABLE,
        preset="few_shot",
        folds=min(_MOST_FOLDS, len(used)),
        only_folds=(0,),
        device=options.device,
        settings={} if options.epochs is None else {"epochs": str(options.epochs)},
    )
    train(request, options.progress, on_event)
