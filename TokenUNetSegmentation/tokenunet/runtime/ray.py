"""Computers that share work through Ray (the extra ``cluster``)."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from tokenunet.core.errors import DeviceError


@contextmanager
def ray_cluster(address: str) -> Iterator[None]:
    """While the block runs, this process belongs to a cluster.

    Args:
        address: of the cluster; ``local`` begins one on this computer.

    Raises:
        DeviceError: where the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
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
    """GPUs to ask the cluster for: one, but none where ``device`` is ``cpu`` or no machine of the cluster has any."""
    return int(device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0)


def _check_reachable(address: str) -> None:
    """Raises OSError at once where nobody listens; Ray itself tries for minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), timeout=5).close()
