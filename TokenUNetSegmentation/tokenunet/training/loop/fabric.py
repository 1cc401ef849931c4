"""Devices, precision and processes of a training, by Lightning Fabric."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

from tokenunet.runtime.device import Precision

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def make_fabric(device: torch.device, precision: Precision = "fp32") -> Fabric:
    """Launch a fabric with one process on the device or, under ``torchrun``, all its processes with a device each.

    Args:
        device: Device, or type of the devices.
        precision: Precision of the heavy operations.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index] if processes == 1 and device.index is not None else here,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        precision=_PRECISION[precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


@contextmanager
def core_left_for_patients() -> Iterator[None]:
    """Use one thread fewer while another process generates patients.

    Threads that share a core with it delay all others: with both cores of a small machine, a step took 0.87 s instead
    of 0.63 s. It is one thread for any number of processes, since the last bits of the weights depend on it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads - 1, 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def end_processes(fabric: Fabric) -> None:
    """End the process group once all processes are here; an earlier end may abort those still communicating."""
    fabric.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
