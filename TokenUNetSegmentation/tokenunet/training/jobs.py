"""Training jobs: `begin`, `begin_synthetic` or `resume` an experiment, then `train` it.

Processes that ``torchrun`` starts divide the patches of each fold among themselves.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
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
from tokenunet.core.events import OnEvent, Progress, Stage, ignore_events, part_of_run
from tokenunet.data import Dataset, FileHashes, check_dataset, fingerprint, hash_files, read_dataset
from tokenunet.io.files import staging_folder
from tokenunet.runtime.environment import versions
from tokenunet.training.experiment.create import (
    check_plan,
    create_experiment,
    create_synthetic_experiment,
    refuse_occupied,
    write_dataset,
)
from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan
from tokenunet.training.experiment.fold_folder import FoldFolder, append_log
from tokenunet.training.experiment.moved_data import find_moved
from tokenunet.training.experiment.summary import write_summary
from tokenunet.training.fold import FailedFolds, total_steps, train_fold
from tokenunet.training.loop.fabric import end_processes, make_fabric
from tokenunet.training.report.page import write_report
from tokenunet.training.samples.loading import prepare_cases
from tokenunet.training.samples.synthetic import validation_dataset

_SHARE_OF_CHECK = 0.02
SHARES = {Stage.CHECK: _SHARE_OF_CHECK, Stage.PREPARE: 0.05, Stage.TRAIN: 0.93}


def begin(folder: Path, data: Path, plan: ExperimentPlan, on_event: OnEvent, label_scheme: str = "") -> Experiment:
    """Check the data and create an experiment on them.

    Args:
        folder: Folder of the experiment; absent or empty.
        data: Folder or CSV file of the patients.
        plan: Architectures, folds and settings.
        on_event: Callback that receives progress.
        label_scheme: Label scheme, as for `read_dataset`.

    Raises:
        DatasetError: If the data cannot be trained on, or their labels are in doubt.
        TokenUNetError: If the folder or the plan cannot be used.
    """
    check_plan(plan)  # before the patients are read, which takes minutes
    _refuse_unusable(folder)
    dataset = read_dataset(data, label_scheme, plan.channels)
    report = check_dataset(dataset, part_of_run(on_event, 0, _SHARE_OF_CHECK))
    report.raise_errors()
    return create_experiment(folder, dataset, report.hashes, plan)


def begin_synthetic(folder: Path, plan: ExperimentPlan) -> Experiment:
    """Create an experiment on synthetic patients, which needs no data.

    Args:
        folder: Folder of the experiment; absent or empty.
        plan: Plan with the preset ``synthetic``.

    Raises:
        TokenUNetError: If the folder or the plan cannot be used.
    """
    _refuse_unusable(folder)
    return create_synthetic_experiment(folder, plan)


def _refuse_unusable(folder: Path) -> None:
    refuse_occupied(folder)
    with staging_folder(folder):
        pass  # fails before the patients are read if the folder cannot be written


def resume(folder: Path, settings: Mapping[str, str], on_event: OnEvent, moved_data: Path | None = None) -> Experiment:
    """Open an experiment to continue it.

    Args:
        folder: Folder of the experiment.
        settings: New values of `OPERATIONAL` settings.
        on_event: Callback that receives progress.
        moved_data: New folder or CSV file of the data, if they were moved.

    Raises:
        ExperimentError: If the data or splits have changed.
        UsageError: If a setting would change the result, or data are given for a synthetic experiment.
    """
    experiment = Experiment(folder)
    if experiment.synthetic and moved_data is not None:
        raise UsageError(f"{folder} is trained on synthetic patients, which need no --data.", "Leave out --data.")
    experiment.change(settings)
    if experiment.synthetic:  # its folder may have been moved, and its patients can be generated again
        dataset = validation_dataset(experiment.patients.absolute(), len(experiment.dataset.cases))
        write_dataset(folder, dataset, {})
        return experiment
    on_check = part_of_run(on_event, 0, _SHARE_OF_CHECK)
    dataset, before = experiment.dataset, experiment.hashes
    if moved_data is not None:
        dataset = find_moved(dataset, before, moved_data, on_check)
        _check_splits(experiment, dataset, before)
        with experiment.training_process():  # no other process may be reading the old paths
            experiment.move_data(dataset)
        return experiment
    now = _hash_again(experiment, dataset, on_check)
    for case, hashes in before.items():
        if changed := [name for name, sha256 in hashes.items() if now.get(case, {}).get(name) != sha256]:
            raise ExperimentError(
                f"The {changed[0]} of {case} is no longer the file that {folder} was started with.",
                "Restore the old data, or start a new experiment.",
            )
    _check_splits(experiment, dataset, now)
    return experiment


def _hash_again(experiment: Experiment, dataset: Dataset, on_event: OnEvent) -> FileHashes:
    try:
        return hash_files(dataset, on_event)
    except UnreadableImageError as error:
        raise ExperimentError(
            f"{error} {experiment.folder} was started with it.",
            "If the data were moved, give their new folder with --data, together with --resume.",
        ) from error


def _check_splits(experiment: Experiment, dataset: Dataset, hashes: FileHashes) -> None:
    names = sorted(case.name for case in dataset.cases)
    validated = sorted(name for fold in experiment.splits.folds for name in fold.validation)
    if experiment.splits.fingerprint != fingerprint(dataset, hashes) or validated != names:
        raise ExperimentError(
            f"{experiment.folder / 'splits.json'} does not match the data of this experiment.",
            "Restore the old file, or start a new experiment.",
        )


def train(experiment: Experiment, device: torch.device, on_event: OnEvent) -> None:
    """Train all unfinished folds, and write summary and report after every fold.

    A fold that fails does not stop the others.

    Args:
        experiment: Experiment from `begin`, `begin_synthetic` or `resume`.
        device: Device to train on.
        on_event: Callback that receives warnings, and progress over all folds.

    Raises:
        Cancelled: If a stop was requested.
        ExperimentError: If another process is training this experiment, or its configuration changed.
        TrainingError: If folds failed, after all others were trained.
        TokenUNetError: If the data, the device or the disk fail.
    """
    processes = make_fabric(device)
    if not processes.is_global_zero:
        processes.barrier()  # until the first process has prepared the cases
        _train_folds(experiment, device, Progress(ignore_events, SHARES), ignore_events, first=False)
        end_processes(processes)
        return
    progress = Progress(on_event, SHARES)
    with recorded(experiment):
        prepare_cases(experiment, progress)
        processes.barrier()
        _train_folds(experiment, device, progress, on_event, first=True)
    end_processes(processes)


@contextmanager
def recorded(experiment: Experiment) -> Iterator[None]:
    """Record in the experiment's log that this process is training, and how it ended."""
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
        finished = sum(work[other.folder] for other in jobs if other.finished)
        on_step = partial(_report_step, progress, finished, work[job.folder], sum(work.values()))
        try:
            train_fold(experiment, job, device, on_step)
            if first:
                renew_report(experiment)
        except (TrainingError, OutOfMemoryError) as error:
            failures.add(job, error.code, str(error), error.hint)
    failures.raise_any()


def _report_step(progress: Progress, finished: float, own: float, total: float, step: int, steps: int) -> None:
    """Report the progress of all folds, from the work of finished folds, of this fold and of all folds."""
    progress.update(Stage.TRAIN, (finished + own * step / steps) / total)


def renew_report(experiment: Experiment) -> None:
    """Write summary and report of the finished folds."""
    write_summary(experiment)
    write_report(experiment)


def _work(experiment: Experiment, job: FoldFolder) -> float:
    """Return the relative duration of a fold, for progress: the finer the voxels, the longer a step."""
    return total_steps(experiment, job) / experiment.configuration(job.architecture).spacing ** 3
