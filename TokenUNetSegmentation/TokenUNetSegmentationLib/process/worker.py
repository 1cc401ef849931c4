"""The process that segments: started, listened to and ended, without Qt.

Its events and its log go to files in the work folder rather than through pipes: nothing that it says before it dies
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
from typing import Any

from tokenunet.core.errors import TokenUNetError
from tokenunet.core.events import ErrorEvent, Event, ProgressEvent, ResultEvent, WarningEvent

from TokenUNetSegmentationLib.process.watched_worker import EVENTS_FILE, LOG_FILE

_SCRIPT = Path(__file__).with_name("watched_worker.py")
_EVENT_TYPES = {cls.event: cls for cls in (ProgressEvent, WarningEvent, ResultEvent, ErrorEvent)}
_LOG_TAIL_BYTES = 20_000


class WorkerError(TokenUNetError):
    """A command that ran in a process of its own has failed."""

    code = "worker"


def parse_event(line: str) -> Event | None:
    """The event that a line of the worker's output holds; None for any other text."""
    try:
        values = json.loads(line)
        return _EVENT_TYPES[values.pop("event")](**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def end_process_tree(process_id: int) -> None:
    """Kills a process and all that it has started. PythonSlicer is a launcher: the work is done by its child."""
    import psutil  # installed at the first click, so not when this module is imported

    try:
        process = psutil.Process(process_id)
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in tree:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def start_standby() -> subprocess.Popen[bytes]:
    """Starts a worker that has imported what a run needs when its job comes, from `WorkerProcess`."""
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_process_options(detached=False),
    )


def end_standby(standby: subprocess.Popen[bytes]) -> None:
    """Ends a worker that still waits, or has died meanwhile."""
    assert standby.stdin
    if standby.poll() is None:
        end_process_tree(standby.pid)
    standby.wait()
    standby.stdin.close()


class WorkerProcess:
    """``tokenunet`` in a process of its own.

    Args:
        arguments: of the ``tokenunet`` command.
        work_folder: for the files with its events and its log; removed by the worker if Slicer dies.
        script: what runs.
        python: Interpreter; None uses `sys.executable`, which Slicer sets to PythonSlicer after loading its modules.
        detached: whether it shall live on when Slicer ends; then only `kill` ends it.
        standby: takes the job, if it still lives; otherwise a process is started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        work_folder: Path,
        script: Path = _SCRIPT,
        python: str | None = None,
        detached: bool = False,
        standby: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._log_path = work_folder / LOG_FILE
        self._unfinished_line = ""
        with (work_folder / EVENTS_FILE).open("wb") as events, self._log_path.open("wb") as log:
            job = [str(work_folder), *arguments]
            if standby is not None and _hand_over(job, standby):
                self._process = standby
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
        """Of the process itself; the work may be done by its children."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative after a signal."""
        return self._process.poll()

    def new_events(self) -> list[Event]:
        """What it has said since the last call."""
        *lines, self._unfinished_line = (self._unfinished_line + self._events.read()).split("\n")
        return [event for line in lines if (event := parse_event(line)) is not None]

    def events_until_end(self) -> Iterator[list[Event]]:
        """What it says, again and again until it has ended and all was read; each piece may be empty."""
        ended = False
        while not ended:
            ended = self.exit_code is not None  # asked before reading, so that the last lines are read too
            yield self.new_events()

    def log(self) -> str:
        """The end of what it has written for people."""
        with self._log_path.open("rb") as file:
            file.seek(max(0, self._log_path.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """Ends it and its children at once; `exit_code` tells when that has happened."""
        if self.exit_code is None:
            end_process_tree(self.process_id)

    def close(self) -> None:
        """Ends it if it still runs, waits for that, and lets go of its files."""
        self.kill()
        self._process.wait()
        self._events.close()


def run_command(
    arguments: Sequence[str], start_worker: Callable[[Sequence[str], Path], WorkerProcess], ended_unexpectedly: str
) -> Iterator[list[Event]]:
    """Runs a ``tokenunet`` command; gives what it says, again and again until it has ended.

    Args:
        arguments: of the command, without ``--progress``.
        start_worker: starts it.
        ended_unexpectedly: the sentence for where it failed without a word.

    Raises:
        WorkerError: where it failed.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokenunet-command-"))
    try:
        worker = start_worker([*arguments, "--progress", "json"], folder)
        try:
            for events in worker.events_until_end():
                yield events
                if failures := [event for event in events if isinstance(event, ErrorEvent)]:
                    raise WorkerError(failures[0].message, failures[0].hint)
            if worker.exit_code:
                raise WorkerError(ended_unexpectedly, worker.log()[-300:])
        finally:
            worker.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(job: Sequence[str], standby: subprocess.Popen[bytes]) -> bool:
    """Gives a waiting worker its job; False where it has died."""
    assert standby.stdin
    try:
        standby.stdin.write(json.dumps(job).encode() + b"\n")
        standby.stdin.close()
    except OSError:
        end_standby(standby)
        return False
    return True


def _process_options(detached: bool) -> dict[str, Any]:
    """No console window; signals to Slicer's terminal do not reach a detached process."""
    if sys.platform != "win32":
        return {"start_new_session": detached}
    group = subprocess.CREATE_NEW_PROCESS_GROUP if detached else 0
    return {"creationflags": subprocess.CREATE_NO_WINDOW | group}
