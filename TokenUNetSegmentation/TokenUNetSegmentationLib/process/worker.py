"""Worker processes that run the ``tokenunet`` command, without Qt.

A worker writes its events and its log to files in the work folder rather than to pipes: nothing written before a crash
is lost, and nobody has to read while it runs.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tokenunet.core.errors import TokenUNetError
from tokenunet.core.events import ErrorEvent, Event, PatientEvent, ProgressEvent, ResultEvent, WarningEvent

from TokenUNetSegmentationLib.process.watched_worker import EVENTS_FILE, LOG_FILE, ORDER_FILE

_SCRIPT = Path(__file__).with_name("watched_worker.py")
_EVENT_TYPES = {cls.event: cls for cls in (ProgressEvent, PatientEvent, WarningEvent, ResultEvent, ErrorEvent)}
_LOG_TAIL_BYTES = 20_000


class WorkerError(TokenUNetError):
    """A command in a worker process has failed."""

    code = "worker"


def parse_event(line: str) -> Event | None:
    """Return the event in a line of the worker's output; None for any other text."""
    try:
        values = json.loads(line)
        return _EVENT_TYPES[values.pop("event")](**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def end_process_tree(process_id: int) -> None:
    """Kill a process and its children: PythonSlicer is only a launcher, its child does the work."""
    import psutil  # not at the top: installed at the first click, after this module is imported

    try:
        process = psutil.Process(process_id)
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in tree:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def start_warm_worker() -> subprocess.Popen[bytes]:
    """Start a worker that imports what a run needs and then waits for its job from `WorkerProcess`."""
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_process_options(detached=False),
    )


def end_warm_worker(warm_worker: subprocess.Popen[bytes]) -> None:
    """End a worker that is waiting for a job, or has died in the meantime."""
    assert warm_worker.stdin
    if warm_worker.poll() is None:
        end_process_tree(warm_worker.pid)
    warm_worker.wait()
    warm_worker.stdin.close()


class WorkerProcess:
    """Process that runs a ``tokenunet`` command.

    Args:
        arguments: Arguments of the ``tokenunet`` command.
        work_folder: Folder for the files with its events and its log; removed by the worker if Slicer dies.
        script: Script that runs the command.
        python: Interpreter; None uses `sys.executable`, which Slicer sets to PythonSlicer after loading its modules.
        detached: Whether the process survives the end of Slicer; then only `kill` ends it.
        warm_worker: Waiting process that receives the job; None, or one that has died, starts a new process.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        work_folder: Path,
        script: Path = _SCRIPT,
        python: str | None = None,
        detached: bool = False,
        warm_worker: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._log_path = work_folder / LOG_FILE
        self._order_path = work_folder / ORDER_FILE
        self._unfinished_line = ""
        with (work_folder / EVENTS_FILE).open("wb") as events, self._log_path.open("wb") as log:
            job = [str(work_folder), *arguments]
            if warm_worker is not None and _hand_over(job, warm_worker):
                self._process = warm_worker
            else:
                self._process = subprocess.Popen(
                    [python or sys.executable, str(script), str(os.getpid()), *job],
                    stdin=subprocess.DEVNULL,
                    stdout=events,
                    stderr=log,
                    **_process_options(detached),
                )
        self._events = (work_folder / EVENTS_FILE).open(encoding="utf-8", errors="replace")

    @property
    def process_id(self) -> int:
        """ID of the process itself; its children may do the work."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while the process is running, negative after a signal."""
        return self._process.poll()

    def new_events(self) -> list[Event]:
        """Return the events received since the last call."""
        *lines, self._unfinished_line = (self._unfinished_line + self._events.read()).split("\n")
        return [event for line in lines if (event := parse_event(line)) is not None]

    def events_until_end(self) -> Iterator[list[Event]]:
        """Iterate over the new events, which may be none, until the process has ended and all were read."""
        ended = False
        while not ended:
            ended = self.exit_code is not None  # asked before reading, so that the last lines are read too
            yield self.new_events()

    def log(self) -> str:
        """Return the end of the process's log, at most 20 000 bytes."""
        with self._log_path.open("rb") as file:
            file.seek(max(0, self._log_path.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")

    def order(self, order: Literal["pause", "continue", "stop"]) -> None:
        """Order the process to pause or continue its child processes, or to stop as after Ctrl-C.

        It obeys within a second.
        """
        unfinished = self._order_path.with_suffix(".part")
        unfinished.write_text(order)
        unfinished.replace(self._order_path)

    def kill(self) -> None:
        """Kill the process and its children; `exit_code` is None until they have ended."""
        if self.exit_code is None:
            end_process_tree(self.process_id)

    def close(self) -> None:
        """Kill the process if it is running, wait for its end, and close its files."""
        self.kill()
        self._process.wait()
        self._events.close()


def run_command(
    arguments: Sequence[str], start_worker: Callable[[Sequence[str], Path], WorkerProcess], ended_unexpectedly: str
) -> Iterator[list[Event]]:
    """Run a ``tokenunet`` command and iterate over its new events, which may be none, until it has ended.

    Args:
        arguments: Arguments of the command, without ``--progress``.
        start_worker: Function that starts the process.
        ended_unexpectedly: Error message, translated, if the command fails without reporting an error.

    Raises:
        WorkerError: If the command fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokenunet-command-"))
    try:
        worker = start_worker([*arguments, "--progress", "json"], folder)
        try:
            for events in worker.events_until_end():
                yield events
                if failures := [event for event in events if isinstance(event, ErrorEvent)]:
                    error = WorkerError(failures[0].message, failures[0].hint)
                    error.code = failures[0].code
                    raise error
            if worker.exit_code:
                raise WorkerError(ended_unexpectedly, worker.log()[-300:])
        finally:
            worker.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(job: Sequence[str], warm_worker: subprocess.Popen[bytes]) -> bool:
    """Send a waiting worker its job, and return whether it was still running."""
    assert warm_worker.stdin
    try:
        warm_worker.stdin.write(json.dumps(job).encode() + b"\n")
        warm_worker.stdin.close()
    except OSError:
        end_warm_worker(warm_worker)
        return False
    return True


def _process_options(detached: bool) -> dict[str, Any]:
    """Return options for no console window, and for a detached process no signals from Slicer's terminal."""
    if sys.platform != "win32":
        return {"start_new_session": detached}
    group = subprocess.CREATE_NEW_PROCESS_GROUP if detached else 0
    return {"creationflags": subprocess.CREATE_NO_WINDOW | group}
