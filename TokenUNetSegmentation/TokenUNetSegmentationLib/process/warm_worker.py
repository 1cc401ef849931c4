"""A worker kept ready, so that a click on "Segment" need not wait for Python and PyTorch to start."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import qt

from TokenUNetSegmentationLib.process.worker import WorkerProcess, end_standby, start_standby

_IDLE_MS = 10 * 60 * 1000


class Standby:
    """At most one worker that waits for its job, for ten minutes: it holds 300 MB, though nothing on a graphics card.

    It does one job and ends, so that nothing of a patient is there when the next one comes.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._timer = qt.QTimer()  # here rather than in the worker, which could end while it is given a job
        self._timer.setSingleShot(True)
        self._timer.setInterval(_IDLE_MS)
        self._timer.timeout.connect(self.end)

    def start(self) -> None:
        """Makes sure that a worker waits; where none can be started, the run will say why."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            with suppress(OSError):
                self._process = start_standby()
        self._timer.start()

    def worker(self, arguments: Sequence[str], work_folder: Path) -> WorkerProcess:
        """Gives the waiting worker a job; starts one if none waits."""
        worker = WorkerProcess(arguments, work_folder, standby=self._process)
        self._release()
        return worker

    def end(self) -> None:
        """Ends the worker that waits."""
        standby = self._release()
        if standby is not None:
            end_standby(standby)

    def _release(self) -> subprocess.Popen[bytes] | None:
        self._timer.stop()
        standby, self._process = self._process, None
        return standby
