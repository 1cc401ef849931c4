"""Training of one fold, and the record of folds that fail."""

from collections.abc import Callable
from contextlib import nullcontext

import torch

from tokenunet.core.errors import TrainingError
from tokenunet.core.events import OnEvent, WarningEvent
from tokenunet.runtime.device import fastest_precision
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_bundle import fold_bundle
from tokenunet.training.experiment.fold_folder import FoldFolder, append_log
from tokenunet.training.experiment.fold_metrics import measure_fold
from tokenunet.training.loop.engine import FoldTraining
from tokenunet.training.loop.fabric import core_left_for_patients, make_fabric
from tokenunet.training.samples.loading import check_stop, prepared_cases, training_cases
from tokenunet.training.samples.patches import Schedule


def train_fold(
    experiment: Experiment, job: FoldFolder, device: torch.device, on_step: Callable[[int, int], None]
) -> None:
    """Train one fold to the end, and evaluate it on its validation cases.

    Args:
        experiment: Experiment of the fold.
        job: Fold to train.
        device: Device to train on.
        on_step: Callback that receives the number of completed steps and of all steps.

    Raises:
        TokenUNetError: If the training or the evaluation fails, or a stop was requested.
    """
    configuration = experiment.configuration(job.architecture)
    fold = experiment.splits.folds[job.fold]
    cases = {case.name: case for case in experiment.dataset.cases}
    validation = [cases[name] for name in fold.validation]
    precision = fastest_precision(device) if configuration.precision == "auto" else configuration.precision
    fabric = make_fabric(device, precision)
    if fabric.is_global_zero:
        append_log(experiment.log, {"event": "fold_started", **_identity(job)})
    run = FoldTraining(
        job,
        configuration,
        training_cases(experiment, configuration, [cases[name] for name in fold.training]),
        prepared_cases(validation, configuration, experiment),
        experiment.plan.seed,
        fabric,
        experiment.stop_requested,
        on_step,
    )
    with core_left_for_patients() if configuration.synthetic_patients else nullcontext():
        run.run()
    if fabric.is_global_zero:
        bundle = fold_bundle(job, configuration)
        measure_fold(
            job, bundle, validation, configuration, str(fabric.device), run.facts, lambda: check_stop(experiment)
        )
        append_log(experiment.log, {"event": "fold_finished", **_identity(job)})
    fabric.barrier()


def total_steps(experiment: Experiment, job: FoldFolder) -> int:
    """Return the number of optimizer steps of the whole training of a fold."""
    configuration = experiment.configuration(job.architecture)
    cases = configuration.synthetic_patients or len(experiment.splits.folds[job.fold].training)
    return Schedule(cases, configuration, 0).total_steps


class FailedFolds:
    """Collector of failed folds, so that the remaining folds are still trained.

    Args:
        experiment: Experiment of the folds.
        on_event: Callback that receives a warning for each failure.
    """

    def __init__(self, experiment: Experiment, on_event: OnEvent) -> None:
        self._experiment = experiment
        self._on_event = on_event
        self._names: list[str] = []

    def add(self, job: FoldFolder, code: str, message: str, hint: str = "") -> None:
        """Log a failure and send a warning.

        Args:
            job: Failed fold.
            code: Code of the error.
            message: Sentence on what is wrong.
            hint: Sentence on what to do about it; may be empty.
        """
        self._names.append(f"{job.architecture}, fold {job.fold}")
        append_log(self._experiment.log, {"event": "fold_failed", **_identity(job), "message": message})
        self._on_event(WarningEvent(code, f"{self._names[-1]}: {message} {hint}".rstrip()))

    def raise_any(self) -> None:
        """Raise an error if any fold failed.

        Raises:
            TrainingError: If any fold failed.
        """
        if self._names:
            names = "; ".join(self._names)
            raise TrainingError(f"Training failed for {names}.", "See the warnings, or log.jsonl.")


def _identity(job: FoldFolder) -> dict[str, str | int]:
    """Return the architecture and number of a fold, for logs."""
    return {"architecture": job.architecture, "fold": job.fold}
