"""Batches on a Ray cluster: one job per patient.

All machines must have access to the scans, the model and the folder of results under the same paths.
"""

from collections.abc import Iterator, Sequence

import ray

from tokenunet.core.errors import ProcessDiedError
from tokenunet.inference.batch.job import PatientJob, PatientRow, segment_patient
from tokenunet.inference.batch.run import OnPatientEvent
from tokenunet.runtime.ray import gpus_per_job, ray_cluster

_RETRIES = 1
"""Number of retries if a process dies: its machine may be lost, or the patient may be too large for any."""
_POLL_S = 2.0


def run_on_cluster(jobs: Sequence[PatientJob], on_event: OnPatientEvent, address: str) -> Iterator[PatientRow]:
    """Segment patients in parallel, as far as the cluster's resources allow.

    A job takes one GPU, or one CPU if the request's device is ``cpu`` or the cluster has no GPU.

    Args:
        jobs: Jobs of the batch.
        on_event: Not used; the events of a job stay on its machine.
        address: Address of the cluster; ``local`` starts one on this computer.

    Yields:
        Row of each patient.

    Raises:
        DeviceError: If the cluster cannot be reached.
    """
    with ray_cluster(address):
        remote = ray.remote(max_retries=_RETRIES, num_cpus=1)(segment_patient)
        waiting = {remote.options(num_gpus=gpus_per_job(job.request.options.device)).remote(job): job for job in jobs}
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=_POLL_S)
            for reference in ready:
                job = waiting.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayError as error:
                    died = ProcessDiedError(f"The process that segmented {job.patient} died.", str(error))
                    yield PatientRow(job.patient, "failed", died)
