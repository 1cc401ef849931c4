"""Devices, precision and processes of a training, through lightning-fabric."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

from tokenunet.runtime.device import Precision

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def make_fabric(device: torch.device, precision: Precision = "fp32") -> Fabric:
    """One process on the device, or, under ``torchrun``, all its processes with one device each."""
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
    """Takes one thread less while another process makes patients.

    Threads that share a core with it keep all others waiting: with both cores of a small machine, a step took 0.87 s
    in place of 0.63 s. However many processes make patients it is one thread, on which the weights' last bits depend.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads - 1, 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def end_processes(fabric: Fabric) -> None:
    """Parts the processes once all have come here; one that ends while others still talk to it may be aborted."""
    fabric.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
