"""``tokenunet export``: a model from a trained experiment."""

import argparse
from pathlib import Path

from tokenunet.bundle.store import user_models_folder
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent, ResultEvent


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="make a model of a trained experiment")
    parser.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="folder of the experiment")
    parser.add_argument("--architecture", help="which of the experiment's; needed where it has several")
    parser.add_argument("--fold", type=int, help="one fold (default: all finished ones, as an ensemble)")
    parser.add_argument(
        "--output", type=Path, metavar="BUNDLE", help="folder to write (default: where models are found by their name)"
    )
    add_progress_argument(parser)
    parser.add_argument("--title", default="", help="the model's name as shown to users")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.training.experiment.experiment import Experiment
    from tokenunet.training.experiment.export import export_bundle, finished_folds

    experiment = Experiment(options.experiment)
    architectures = experiment.plan.architectures
    architecture = options.architecture or architectures[0]
    if architecture not in architectures or (options.architecture is None and len(architectures) > 1):
        raise UsageError(
            f"{options.experiment} has trained {', '.join(architectures)}.", "Choose one of them with --architecture."
        )
    folds = finished_folds(experiment, architecture) if options.fold is None else (options.fold,)
    name = f"{options.experiment.resolve().name}-{architecture}" + ("" if options.fold is None else f"-fold{folds[0]}")
    bundle = export_bundle(
        experiment, architecture, folds, options.output or user_models_folder() / name, options.title
    )
    on_event(ResultEvent(str(bundle), {}))
    if options.progress != "json":
        print(bundle)
