"""The folds of an experiment as independent jobs on Ray, which places them and tries again those whose process died.

All machines must see the experiment's folder and the data under the same paths.
"""

from pathlib import Path

import ray

from tokenunet.core.errors import Cancelled, OutOfMemoryError, TrainingError
from tokenunet.core.events import OnEvent, Progress, Stage
from tokenunet.runtime.device import resolve_device
from tokenunet.runtime.ray import gpus_per_job, ray_cluster
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder
from tokenunet.training.jobs import (
    SHARES,
    FailedFolds,
    recorded,
    renew_report,
    total_steps,
    train_fold,
)
from tokenunet.training.samples.loading import prepare_cases

_RETRIES = 5
_POLL_S = 2.0


def train_on_cluster(experiment: Experiment, address: str, device: str, on_event: OnEvent) -> None:
    """Trains all folds that are not finished, as many at a time as the cluster has room for.

    A job takes one GPU, or one CPU where ``device`` is ``cpu`` or the cluster has no GPU. A job whose process dies is
    begun again, elsewhere perhaps, and goes on from its last checkpoint.

    Args:
        experiment: in a folder that all machines see.
        address: of the cluster; ``local`` begins one on this computer.
        device: ``auto``, ``cuda`` or ``cpu``, on every machine.
        on_event: receives progress over all folds, and warnings.

    Raises:
        Cancelled: after a request to stop.
        DeviceError: where the cluster cannot be reached.
        TrainingError: at the end, where folds failed.
    """
    with ray_cluster(address):
        progress = Progress(on_event, SHARES)
        with recorded(experiment):
            prepare_cases(experiment, progress)
            _train_jobs(experiment, device, progress, on_event)


def _train_jobs(experiment: Experiment, device: str, progress: Progress, on_event: OnEvent) -> None:
    jobs = experiment.jobs()
    steps = {job.folder: total_steps(experiment, job) for job in jobs}
    remote = ray.remote(_train_job).options(max_retries=_RETRIES, num_cpus=1, num_gpus=gpus_per_job(device))
    unfinished = [job for job in jobs if not job.finished]
    waiting = {remote.remote(str(experiment.folder), job.architecture, job.fold, device): job for job in unfinished}
    failures = FailedFolds(experiment, on_event)
    while waiting:
        ready, _ = ray.wait(list(waiting), timeout=_POLL_S)
        done = sum(steps[job.folder] if job.finished else _steps_done(job) for job in jobs)
        progress.update(Stage.TRAIN, done / sum(steps.values()))
        for reference in ready:
            job = waiting.pop(reference)
            try:
                ray.get(reference)
                renew_report(experiment)
            except Cancelled:
                ray.wait(list(waiting), num_returns=len(waiting))  # they have been asked to stop as well
                raise
            except (TrainingError, OutOfMemoryError, ray.exceptions.WorkerCrashedError) as error:
                failures.add(job, "training", str(error))
    failures.raise_any()


def _train_job(folder: str, architecture: str, fold: int, device: str) -> None:
    """What runs on a machine of the cluster."""
    experiment = Experiment(Path(folder))
    train_fold(experiment, experiment.fold(architecture, fold), resolve_device(device), lambda done, total: None)


def _steps_done(job: FoldFolder) -> int:
    return max((line["step"] for line in job.log_lines() if line["event"] == "step"), default=0)
