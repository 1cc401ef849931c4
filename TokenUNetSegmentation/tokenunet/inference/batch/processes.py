"""Batches in worker processes: if one crashes or is killed, only one patient fails."""

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import NoReturn

import SimpleITK as sitk
import torch

from tokenunet.core.errors import Cancelled, ProcessDiedError
from tokenunet.core.events import Event
from tokenunet.inference.batch.job import PatientJob, PatientRow, segment_patient
from tokenunet.inference.batch.run import OnPatientEvent
from tokenunet.runtime.allocator import reuse_freed_memory

_LONGEST_ENDING_S = 10.0


def run_in_processes(jobs: Sequence[PatientJob], on_event: OnPatientEvent, processes: int = 1) -> Iterator[PatientRow]:
    """Segment patients in worker processes that share the CPU's cores.

    Args:
        jobs: Jobs of the batch.
        on_event: Callback that receives the events of each patient; may raise to stop.
        processes: Number of processes.

    Yields:
        Row of each patient.
    """
    waiting = deque(jobs)
    count = min(processes, len(jobs))
    busy: dict[Connection, _Worker] = {}

    def begin_next(worker: "_Worker | None") -> None:
        if waiting:
            worker = worker or _Worker(count)
            busy[worker.connection] = worker
            worker.begin(waiting.popleft())
        elif worker is not None:
            worker.end()

    try:
        for _ in range(count):
            begin_next(None)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker = busy[ready]
                job = worker.job
                try:
                    message = ready.recv()
                except (EOFError, OSError):
                    message = PatientRow(job.patient, "failed", worker.why_it_died(job.patient))
                    del busy[ready]
                    begin_next(None)
                else:
                    if isinstance(message, PatientRow):
                        del busy[ready]
                        begin_next(worker)
                if isinstance(message, PatientRow):
                    yield message
                else:
                    on_event(job.patient, message)
    finally:
        for worker in busy.values():
            worker.process.terminate()
        for worker in busy.values():
            worker.end()


class _Worker:
    """Worker process and its current job."""

    job: PatientJob

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=_work, args=(there, processes), daemon=True)
        with _interruptions_ignored():  # inherited, so that no interruption reaches the process while it starts
            self.process.start()
        there.close()

    def begin(self, job: PatientJob) -> None:
        self.job = job
        with suppress(OSError):  # reading the answer will show that it died
            self.connection.send(job)

    def end(self) -> None:
        self.connection.close()
        self.process.join(_LONGEST_ENDING_S)
        self.process.kill()
        self.process.join()

    def why_it_died(self, patient: str) -> ProcessDiedError:
        self.end()
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return ProcessDiedError(
            f"The process that segmented {patient} {how}.",
            "It may have run out of memory: use fewer --jobs, or close other programs.",
        )


@contextmanager
def _interruptions_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # others cannot set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, processes: int) -> None:
    """Segment one patient after the other, until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends its workers
    signal.signal(signal.SIGTERM, _cancel)
    if processes > 1:
        torch.set_num_threads(max(torch.get_num_threads() // processes, 1))
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(max(threads // processes, 1))
    reuse_freed_memory()
    with suppress(Cancelled, EOFError, OSError):
        while True:
            connection.send(segment_patient(connection.recv(), partial(_send, connection)))


def _send(connection: Connection, event: Event) -> None:
    try:
        connection.send(event)
    except OSError as error:  # the parent has ended
        raise Cancelled from error


def _cancel(number: int, frame: FrameType | None) -> NoReturn:
    raise Cancelled
