"""Connection to a Ray cluster (the extra ``cluster``)."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from tokenunet.core.errors import DeviceError


@contextmanager
def ray_cluster(address: str) -> Iterator[None]:
    """Connect this process to a Ray cluster while the block runs.

    Args:
        address: Address of the cluster; ``local`` starts one on this computer.

    Raises:
        DeviceError: If the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        _check_reachable(address)
        ray.init(address=address)
    except OSError as error:
        raise DeviceError(f"There is no Ray cluster at {address}.", "Start one with: ray start --head") from error
    try:
        yield
    finally:
        ray.shutdown()


def gpus_per_job(device: str) -> int:
    """Return the number of GPUs to request per job: 1, or 0 if ``device`` is ``cpu`` or the cluster has no GPU."""
    return int(device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0)


def _check_reachable(address: str) -> None:
    """Check that the cluster listens, since Ray itself would try for minutes.

    Raises:
        OSError: If nothing listens at the address.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), timeout=5).close()
