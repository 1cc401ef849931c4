"""Command ``tokenunet train``: training of architectures by cross-validation, with an HTML report."""

import argparse
import textwrap

from tokenunet.cli.extras import extra
from tokenunet.cli.interruptions import interruptions_call
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import Cancelled, UsageError
from tokenunet.core.events import OnEvent, ResultEvent
from tokenunet.runtime.device import resolve_device
from tokenunet.training.config.configuration import SETTINGS
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.request import TrainingRequest, add_arguments


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
    add_arguments(parser)
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
    train(TrainingRequest.from_options(options), options.progress, on_event)


def train(request: TrainingRequest, progress: str | None, on_event: OnEvent) -> None:
    """Create or resume an experiment, and train it.

    Args:
        request: What to train; its output is not None.
        progress: How progress is shown, as of `--progress`.
        on_event: Callback that receives progress.
    """
    with extra("train"):  # takes seconds to import
        from tokenunet.training import jobs

    assert request.output is not None
    device = resolve_device(request.device)
    processes = jobs.make_fabric(device)
    if processes.is_global_zero:
        if request.resume:
            request.check_resume()
            jobs.resume(request.output, request.settings, on_event, request.data)
        elif request.data is None:
            jobs.begin_synthetic(request.output, request.plan())
        else:
            jobs.begin(request.output, request.data, request.plan(), on_event, request.labels or "")
    processes.barrier()
    experiment = Experiment(request.output)
    if request.cluster is not None and experiment.synthetic:
        raise UsageError("The stages of synthetic training cannot be trained in parallel.", "Leave out --cluster.")
    with interruptions_call(lambda: _stop(experiment)):
        if request.cluster is None:
            jobs.train(experiment, device, on_event)
        else:
            with extra("cluster"):
                from tokenunet.training.cluster import train_on_cluster

            train_on_cluster(experiment, request.cluster, request.device, on_event)
    on_event(ResultEvent(str(request.output), {"report": str(experiment.report)}))
    if progress != "json" and processes.is_global_zero:
        print(f"The report is {experiment.report}.")


def _stop(experiment: Experiment) -> None:
    """Request a stop at the first call; stop at once at the second.

    Raises:
        Cancelled: If a stop was already requested.
    """
    if experiment.stop_requested() == "now":
        raise Cancelled("Stopped at once. Use --resume to continue from the last checkpoint.")
    experiment.request_stop("now")
