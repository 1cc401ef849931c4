"""Command ``tokenunet export``: export of a trained experiment as a model bundle."""

import argparse
from pathlib import Path

from tokenunet.bundle.store import user_models_folder
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent, ResultEvent


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``export`` command."""
    text = "export a trained experiment as a model bundle"
    parser = commands.add_parser("export", help=text, description=f"{text.capitalize()}.")
    parser.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="folder of the experiment")
    parser.add_argument("--architecture", metavar="NAME", help="architecture to export; required if there are several")
    parser.add_argument("--fold", type=int, metavar="N", help="fold to export (default: all finished, as an ensemble)")
    parser.add_argument(
        "--output", type=Path, metavar="BUNDLE", help="folder of the bundle (default: a folder of your models)"
    )
    parser.add_argument("--title", default="", help="display name of the model (default: from the experiment)")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Export the finished folds of an experiment."""
    from tokenunet.training.experiment.experiment import Experiment
    from tokenunet.training.experiment.export import export_bundle, finished_folds

    experiment = Experiment(options.experiment)
    architectures = experiment.plan.architectures
    architecture = options.architecture or architectures[0]
    if architecture not in architectures or (options.architecture is None and len(architectures) > 1):
        raise UsageError(
            f"{options.experiment} contains {', '.join(architectures)}.", "Choose one of them with --architecture."
        )
    folds = finished_folds(experiment, architecture) if options.fold is None else (options.fold,)
    name = f"{options.experiment.resolve().name}-{architecture}" + ("" if options.fold is None else f"-fold{folds[0]}")
    bundle = export_bundle(
        experiment, architecture, folds, options.output or user_models_folder() / name, options.title
    )
    on_event(ResultEvent(str(bundle), {}))
    if options.progress != "json":
        print(bundle)
