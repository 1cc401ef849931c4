"""Warm worker: a process that has loaded Python and PyTorch before the click on "Segment"."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import qt

from TokenUNetSegmentationLib.process.worker import WorkerProcess, end_warm_worker, start_warm_worker

_IDLE_MS = 10 * 60 * 1000


class WarmWorker:
    """At most one idle worker, kept for ten minutes.

    It occupies 300 MB of memory and none of the GPU's. It processes one job and exits, so that no data of one patient
    is in memory when the next one is segmented.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._timer = qt.QTimer()  # not in the worker, which could exit while it receives a job
        self._timer.setSingleShot(True)
        self._timer.setInterval(_IDLE_MS)
        self._timer.timeout.connect(self.end)

    def start(self) -> None:
        """Start the worker unless it is running; if it cannot be started, the next run reports why."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            with suppress(OSError):
                self._process = start_warm_worker()
        self._timer.start()

    def worker(self, arguments: Sequence[str], work_folder: Path) -> WorkerProcess:
        """Return a process for a job: the warm worker, or a new one if there is none.

        Args:
            arguments: Arguments of the ``tokenunet`` command.
            work_folder: Folder for the files with its events and its log.
        """
        worker = WorkerProcess(arguments, work_folder, warm_worker=self._process)
        self._release()
        return worker

    def end(self) -> None:
        """End the idle worker."""
        warm_worker = self._release()
        if warm_worker is not None:
            end_warm_worker(warm_worker)

    def _release(self) -> subprocess.Popen[bytes] | None:
        self._timer.stop()
        warm_worker, self._process = self._process, None
        return warm_worker
