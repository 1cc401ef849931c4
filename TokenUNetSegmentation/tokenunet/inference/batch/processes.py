"""The patients of a batch in processes of their own: where one of them crashes or is killed, one patient failed."""

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
    """Segments patients in so many processes, which share the processor's cores; each takes one after the other.

    Args:
        jobs: what to do.
        on_event: is told what the processes say; may raise to stop.
        processes: at a time.
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
    """A process and what it is doing."""

    job: PatientJob

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=_work, args=(there, processes), daemon=True)
        with _interruptions_ignored():  # which the process inherits, so that none reaches it while it starts
            self.process.start()
        there.close()

    def begin(self, job: PatientJob) -> None:
        self.job = job
        with suppress(OSError):  # that it has died shows when its answer is read
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
            "Most often memory was short: run fewer --jobs at a time, or close other programs.",
        )


@contextmanager
def _interruptions_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, processes: int) -> None:
    """One patient after the other, as long as there is somebody who asks for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, and the first one ends the others
    signal.signal(signal.SIGTERM, _cancel)
    if processes > 1:
        torch.set_num_threads(max(torch.get_num_threads() // processes, 1))
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(max(threads // processes, 1))
    reuse_freed_memory()
    with suppress(Cancelled, EOFError, OSError):
        while True:
            connection.send(segment_patient(connection.recv(), partial(_tell, connection)))


def _tell(connection: Connection, event: Event) -> None:
    try:
        connection.send(event)
    except OSError as error:  # nobody is there any more who would take the result
        raise Cancelled from error


def _cancel(number: int, frame: FrameType | None) -> NoReturn:
    raise Cancelled
