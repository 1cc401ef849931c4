"""From patients to trained folds: `begin`, `begin_synthetic` or `resume` an experiment, then `train` it.

Several processes started by ``torchrun`` share each fold's patches among themselves.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from tokenunet.core.errors import (
    Cancelled,
    ExperimentError,
    OutOfMemoryError,
    TokenUNetError,
    TrainingError,
    UnreadableImageError,
    UsageError,
)
from tokenunet.core.events import OnEvent, Progress, Stage, WarningEvent, ignore_events, part_of_run
from tokenunet.data import Dataset, FileHashes, check_dataset, fingerprint, hash_files, read_dataset
from tokenunet.io.files import staging_folder
from tokenunet.runtime.device import fastest_precision, resolve_device
from tokenunet.runtime.environment import versions
from tokenunet.training.experiment.create import (
    create_experiment,
    create_synthetic_experiment,
    refuse_occupied,
    write_dataset,
)
from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan
from tokenunet.training.experiment.fold_bundle import fold_bundle
from tokenunet.training.experiment.fold_folder import FoldFolder, append_log
from tokenunet.training.experiment.fold_metrics import measure_fold
from tokenunet.training.experiment.moved_data import find_moved
from tokenunet.training.experiment.summary import write_summary
from tokenunet.training.loop.engine import FoldTraining
from tokenunet.training.loop.fabric import core_left_for_patients, end_processes, make_fabric
from tokenunet.training.report.page import write_report
from tokenunet.training.samples.loading import check_stop, prepare_cases, prepared_cases, training_cases
from tokenunet.training.samples.patches import Schedule
from tokenunet.training.samples.synthetic import validation_dataset

_SHARE_OF_CHECK = 0.02
SHARES = {Stage.CHECK: _SHARE_OF_CHECK, Stage.PREPARE: 0.05, Stage.TRAIN: 0.93}


def begin(folder: Path, data: Path, plan: ExperimentPlan, on_event: OnEvent, label_scheme: str = "") -> Experiment:
    """Check the data and create an experiment on them.

    Args:
        folder: Folder of the experiment; absent or empty.
        data: Folder or CSV with the patients.
        plan: What to train.
        on_event: Receives progress.
        label_scheme: Meaning of the labels, as for `read_dataset`.

    Raises:
        DatasetError: If training would fail on anything in the data, or their labels are in doubt.
        TokenUNetError: As for `create_experiment`.
    """
    _refuse_unusable(folder)
    dataset = read_dataset(data, label_scheme)
    report = check_dataset(dataset, part_of_run(on_event, 0, _SHARE_OF_CHECK))
    report.raise_errors()
    return create_experiment(folder, dataset, report.hashes, plan)


def begin_synthetic(folder: Path, plan: ExperimentPlan) -> Experiment:
    """Makes an experiment that needs no data.

    Args:
        folder: of the experiment; absent or empty.
        plan: with the preset ``synthetic``.

    Raises:
        TokenUNetError: as for `create_synthetic_experiment`.
    """
    _refuse_unusable(folder)
    return create_synthetic_experiment(folder, plan)


def _refuse_unusable(folder: Path) -> None:
    refuse_occupied(folder)
    with staging_folder(folder):
        pass  # whether it can be written shows before the patients are read


def resume(folder: Path, settings: Mapping[str, str], on_event: OnEvent, moved_data: Path | None = None) -> Experiment:
    """Open an experiment to continue it.

    Args:
        folder: Folder of the experiment.
        settings: New values of `OPERATIONAL` settings.
        on_event: Receives progress.
        moved_data: Folder or CSV where the data are now, if they were moved.

    Raises:
        ExperimentError: If its data or splits are no longer what they were.
        UsageError: If a setting would change the result, or data are given that a synthetic experiment does not have.
    """
    experiment = Experiment(folder)
    if experiment.synthetic and moved_data is not None:
        raise UsageError(f"{folder} is trained on synthetic patients, which need no --data.", "Leave out --data.")
    experiment.change(settings)
    if experiment.synthetic:  # its folder may have been moved, and its patients can be made again
        dataset = validation_dataset(experiment.patients.absolute(), len(experiment.dataset.cases))
        write_dataset(folder, dataset, {})
        return experiment
    on_check = part_of_run(on_event, 0, _SHARE_OF_CHECK)
    dataset, before = experiment.dataset, experiment.hashes
    if moved_data is not None:
        dataset = find_moved(dataset, before, moved_data, on_check)
        _check_splits(experiment, dataset, before)
        with experiment.training_process():  # no other process may be reading the old places
            experiment.move_data(dataset)
        return experiment
    now = _hash_again(experiment, dataset, on_check)
    for case, hashes in before.items():
        if changed := [name for name, sha256 in hashes.items() if now.get(case, {}).get(name) != sha256]:
            raise ExperimentError(
                f"{case}'s {changed[0]} is no longer the file that {folder} was begun with.",
                "Bring the old data back, or begin a new experiment.",
            )
    _check_splits(experiment, dataset, now)
    return experiment


def _hash_again(experiment: Experiment, dataset: Dataset, on_event: OnEvent) -> FileHashes:
    try:
        return hash_files(dataset, on_event)
    except UnreadableImageError as error:
        raise ExperimentError(
            f"{error} {experiment.folder} was begun with it.",
            "If the data were moved, give their new place with --data, together with --resume.",
        ) from error


def _check_splits(experiment: Experiment, dataset: Dataset, hashes: FileHashes) -> None:
    names = sorted(case.name for case in dataset.cases)
    validated = sorted(name for fold in experiment.splits.folds for name in fold.validation)
    if experiment.splits.fingerprint != fingerprint(dataset, hashes) or validated != names:
        raise ExperimentError(
            f"{experiment.folder / 'splits.json'} does not belong to this experiment's data.",
            "Bring the old file back, or begin a new experiment.",
        )


def train(experiment: Experiment, device: str, on_event: OnEvent) -> None:
    """Trains all folds that are not finished; summary and report are made anew after every fold.

    A fold that cannot be trained does not keep the others from it.

    Args:
        experiment: what to train.
        device: as for `resolve_device`.
        on_event: receives progress over all folds, and warnings.

    Raises:
        Cancelled: after a request to stop.
        ExperimentError: where another process trains here, or the configuration changed.
        TrainingError: at the end, where folds failed.
        TokenUNetError: where data, device or disk fail.
    """
    place = resolve_device(device)
    processes = make_fabric(place)
    if not processes.is_global_zero:
        processes.barrier()  # the first process prepares the cases
        _train_folds(experiment, place, Progress(ignore_events, SHARES), ignore_events, first=False)
        end_processes(processes)
        return
    progress = Progress(on_event, SHARES)
    with recorded(experiment):
        prepare_cases(experiment, progress)
        processes.barrier()
        _train_folds(experiment, place, progress, on_event, first=True)
    end_processes(processes)


@contextmanager
def recorded(experiment: Experiment) -> Iterator[None]:
    """Says in the experiment's folder that this process trains there, and how it ended."""
    with experiment.training_process():
        append_log(experiment.log, {"event": "started", "versions": versions()})
        try:
            yield
        except TokenUNetError as error:
            event = "stopped" if isinstance(error, Cancelled) else "failed"
            append_log(experiment.log, {"event": event, "code": error.code, "message": str(error), "hint": error.hint})
            raise
        append_log(experiment.log, {"event": "finished"})


def _train_folds(
    experiment: Experiment, device: torch.device, progress: Progress, on_event: OnEvent, first: bool
) -> None:
    jobs = experiment.jobs()
    work = {job.folder: _work(experiment, job) for job in jobs}
    failures = FailedFolds(experiment, on_event)
    for job in jobs:
        if job.finished:
            continue
        others = sum(work[other.folder] for other in jobs if other.finished)

        def on_step(done: int, total: int, others: float = others, own: float = work[job.folder]) -> None:
            progress.update(Stage.TRAIN, (others + own * done / total) / sum(work.values()))

        try:
            train_fold(experiment, job, device, on_step)
            if first:
                renew_report(experiment)
        except (TrainingError, OutOfMemoryError) as error:
            failures.add(job, error.code, str(error), error.hint)
    failures.raise_any()


class FailedFolds:
    """Keeps account of the folds that could not be trained, so that the others still are."""

    def __init__(self, experiment: Experiment, on_event: OnEvent) -> None:
        self._experiment = experiment
        self._on_event = on_event
        self._names: list[str] = []

    def add(self, job: FoldFolder, code: str, message: str, hint: str = "") -> None:
        """Logs a failure and warns of it."""
        self._names.append(f"{job.architecture}, fold {job.fold}")
        append_log(self._experiment.log, {"event": "fold_failed", **identity(job), "message": message})
        self._on_event(WarningEvent(code, f"{self._names[-1]}: {message} {hint}".rstrip()))

    def raise_any(self) -> None:
        """Raises a TrainingError that names them, if there are any."""
        if self._names:
            names = "; ".join(self._names)
            raise TrainingError(f"Not trained to the end: {names}.", "The warnings say why; see log.jsonl.")


def renew_report(experiment: Experiment) -> None:
    """Makes summary and report anew of what is finished."""
    write_summary(experiment)
    write_report(experiment)


def total_steps(experiment: Experiment, job: FoldFolder) -> int:
    """Optimizer steps of a fold's whole training."""
    configuration = experiment.configuration(job.architecture)
    cases = configuration.synthetic_patients or len(experiment.splits.folds[job.fold].training)
    return Schedule(cases, configuration, 0).total_steps


def _work(experiment: Experiment, job: FoldFolder) -> float:
    """What a fold takes, for progress: the finer the voxels, the longer a step."""
    return total_steps(experiment, job) / experiment.configuration(job.architecture).spacing ** 3


def train_fold(
    experiment: Experiment, job: FoldFolder, device: torch.device, on_step: Callable[[int, int], None]
) -> None:
    """Trains one fold to the end and measures it on its validation cases.

    Raises:
        TokenUNetError: as for `FoldTraining.run` and `measure_fold`.
    """
    configuration = experiment.configuration(job.architecture)
    fold = experiment.splits.folds[job.fold]
    cases = {case.name: case for case in experiment.dataset.cases}
    validation = [cases[name] for name in fold.validation]
    precision = fastest_precision(device) if configuration.precision == "auto" else configuration.precision
    fabric = make_fabric(device, precision)
    if fabric.is_global_zero:
        append_log(experiment.log, {"event": "fold_started", **identity(job)})
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
        append_log(experiment.log, {"event": "fold_finished", **identity(job)})
    fabric.barrier()


def identity(job: FoldFolder) -> dict[str, str | int]:
    """How a log names a fold."""
    return {"architecture": job.architecture, "fold": job.fold}
