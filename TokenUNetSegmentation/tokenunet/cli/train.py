"""Command ``tokenunet train``: training of architectures by cross-validation, with an HTML report."""

import argparse
import textwrap
from pathlib import Path

from tokenunet.cli.dataset import add_labels_argument
from tokenunet.cli.extras import extra
from tokenunet.cli.interruptions import interruptions_call
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import Cancelled, UsageError
from tokenunet.core.events import OnEvent, ResultEvent
from tokenunet.networks.registry import architectures
from tokenunet.runtime.device import resolve_device
from tokenunet.training.config.configuration import SETTINGS
from tokenunet.training.config.presets import PRESETS
from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan

DEFAULT_ARCHITECTURE = "token_unet_transformer"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``train`` command."""
    parser = commands.add_parser(
        "train",
        help="train one or more architectures on labeled or synthetic patients",
        description="Train one or more architectures by cross-validation on labeled patients, or on synthetic ones, "
        "and write a report. Ctrl-C saves the state;\n--resume continues.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_settings_help(),
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR_OR_CSV",
        help="folder or CSV file of the patients; with --resume, their new location if they were moved",
    )
    add_labels_argument(parser)
    parser.add_argument("--output", type=Path, metavar="EXPERIMENT", required=True, help="folder of the experiment")
    parser.add_argument(
        "--preset", choices=PRESETS, help="preset of the settings (default: paper); synthetic needs no --data"
    )
    parser.add_argument(
        "--architectures",
        type=lambda text: tuple(text.split(",")),
        metavar="A,B",
        help=f"architectures to train, out of {', '.join(architectures())} (default: {DEFAULT_ARCHITECTURE})",
    )
    parser.add_argument("--folds", type=int, metavar="N", help="number of folds of the cross-validation (default: 5)")
    parser.add_argument(
        "--only-folds",
        type=lambda text: tuple(int(n) for n in text.split(",")),
        metavar="0,2",
        help="numbers of the folds to train, from 0 (default: all)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value of a setting, see below"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of splits, weights and patches (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue the experiment in --output")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="address of a Ray cluster to train the folds on; 'local' starts one here"
    )
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def _settings_help() -> str:
    """Return the description of the settings, with the values of the preset ``paper``."""
    lines = ["settings for --set, with the values of the preset paper:"]
    for name, found in SETTINGS.items():
        if name != "architecture":
            default = "" if found.default in (None, "") else f" (default: {found.default})"
            text = f"{found.hint}{default}"
            lines += textwrap.wrap(text, 110, initial_indent=f"  {name:<22} ", subsequent_indent=" " * 25)
    return "\n".join(lines)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Create or resume an experiment, and train it."""
    with extra("train"):  # takes seconds to import
        from tokenunet.training import jobs

    processes = jobs.make_fabric(resolve_device(options.device))
    if processes.is_global_zero:
        if options.resume:
            _refuse_with_resume(options)
            jobs.resume(options.output, _settings(options.set), on_event, options.data)
        elif options.preset == "synthetic":
            _refuse_with_synthetic(options)
            jobs.begin_synthetic(options.output, _plan(options))
        elif options.data is None:
            raise UsageError(
                "No patients were given.",
                "Use --data DIR, --preset synthetic, or --resume to continue an experiment.",
            )
        else:
            jobs.begin(options.output, options.data, _plan(options), on_event, options.labels or "")
    processes.barrier()
    experiment = Experiment(options.output)
    if options.cluster is not None and experiment.synthetic:
        raise UsageError("The stages of synthetic training cannot be trained in parallel.", "Leave out --cluster.")
    with interruptions_call(lambda: _stop(experiment)):
        if options.cluster is None:
            jobs.train(experiment, options.device, on_event)
        else:
            with extra("cluster"):
                from tokenunet.training.cluster import train_on_cluster

            train_on_cluster(experiment, options.cluster, options.device, on_event)
    on_event(ResultEvent(str(options.output), {"report": str(experiment.report)}))
    if options.progress != "json" and processes.is_global_zero:
        print(f"The report is {experiment.report}.")


def _plan(options: argparse.Namespace) -> ExperimentPlan:
    folds = 5 if options.folds is None else options.folds
    if options.preset == "synthetic":
        folds = 1
    return ExperimentPlan(
        preset=options.preset or "paper",
        architectures=options.architectures or (DEFAULT_ARCHITECTURE,),
        folds=folds,
        trained_folds=options.only_folds or tuple(range(folds)),
        seed=options.seed or 0,
        overrides=_settings(options.set),
    )


def _refuse_with_synthetic(options: argparse.Namespace) -> None:
    for name in ("data", "labels", "folds", "only_folds", "cluster"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} cannot be given with --preset synthetic.",
                "Its patients are generated, and its stages are trained one after the other; leave the option out.",
            )


def _refuse_with_resume(options: argparse.Namespace) -> None:
    for name in ("labels", "preset", "architectures", "folds", "only_folds", "seed"):
        if getattr(options, name) is not None:
            flag = name.replace("_", "-")
            raise UsageError(
                f"--{flag} cannot be given with --resume.", "The experiment keeps its settings; leave it out."
            )


def _settings(settings: list[str]) -> dict[str, str]:
    overrides = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"--set {setting} has no value.", "Write --set NAME=VALUE, for instance --set epochs=3.")
        # Other relative paths in a configuration start from the experiment's folder.
        overrides[name] = str(Path(value).absolute()) if _is_file(name) else value
    return overrides


def _is_file(name: str) -> bool:
    found = SETTINGS.get(name.rpartition(".")[2])
    return found is not None and found.is_file


def _stop(experiment: Experiment) -> None:
    """Request a stop at the first call; stop at once at the second.

    Raises:
        Cancelled: If a stop was already requested.
    """
    if experiment.stop_requested() == "now":
        raise Cancelled("Stopped at once. Use --resume to continue from the last checkpoint.")
    experiment.request_stop("now")
