"""Training on a Ray cluster: one job per fold, restarted if its process dies.

All machines must have access to the experiment's folder and the data under the same paths.
"""

from pathlib import Path

import ray

from tokenunet.core.errors import Cancelled, OutOfMemoryError, TrainingError
from tokenunet.core.events import OnEvent, Progress, Stage
from tokenunet.runtime.device import resolve_device
from tokenunet.runtime.ray import gpus_per_job, ray_cluster
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder
from tokenunet.training.fold import FailedFolds, total_steps, train_fold
from tokenunet.training.jobs import SHARES, recorded, renew_report
from tokenunet.training.samples.loading import prepare_cases

_RETRIES = 5
_POLL_S = 2.0


def train_on_cluster(experiment: Experiment, address: str, device: str, on_event: OnEvent) -> None:
    """Train all unfinished folds in parallel, as far as the cluster's resources allow.

    A job takes one GPU, or one CPU if ``device`` is ``cpu`` or the cluster has no GPU. If its process dies, it is
    restarted, possibly on another machine, and continues from its last checkpoint.

    Args:
        experiment: Experiment in a folder that all machines can access.
        address: Address of the cluster; ``local`` starts one on this computer.
        device: Device on every machine: ``auto``, ``cuda`` or ``cpu``.
        on_event: Callback that receives warnings, and progress over all folds.

    Raises:
        Cancelled: If a stop was requested.
        DeviceError: If the cluster cannot be reached.
        TrainingError: If folds failed, after all others were trained.
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
                ray.wait(list(waiting), num_returns=len(waiting))  # the request to stop reaches them, too
                raise
            except (TrainingError, OutOfMemoryError, ray.exceptions.WorkerCrashedError) as error:
                failures.add(job, "training", str(error))
    failures.raise_any()


def _train_job(folder: str, architecture: str, fold: int, device: str) -> None:
    """Train one fold, on a machine of the cluster."""
    experiment = Experiment(Path(folder))
    train_fold(experiment, experiment.fold(architecture, fold), resolve_device(device), lambda done, total: None)


def _steps_done(job: FoldFolder) -> int:
    return max((line["step"] for line in job.log_lines() if line["event"] == "step"), default=0)
