"""Script that runs the ``tokenunet`` command for the module and ends with Slicer, even if Slicer crashes.

Usage: ``watched_worker.py SLICER_PROCESS_ID WORK_FOLDER ARGUMENTS_OF_TOKENUNET...``. Without work folder and arguments
it is a warm worker: it imports what a run needs, which takes seconds, and then waits for both on standard input, as one
line of JSON.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

EVENTS_FILE, LOG_FILE = "events.jsonl", "log.txt"
"""Files in the work folder that receive standard output and standard error."""
ORDER_FILE = "order.txt"
"""File in the work folder with Slicer's latest order: ``pause``, ``continue`` or ``stop``."""
_PAUSE_S = 0.5


def _end_with(parent: int, job: list[str]) -> None:
    """Wait for the end of Slicer, then kill this process and its children and remove their files.

    Args:
        parent: Process ID of Slicer.
        job: Work folder and arguments; empty until there is a job.
    """
    import psutil

    obeyed = ""
    with suppress(psutil.NoSuchProcess):
        application = psutil.Process(parent)
        while application.is_running() and application.status() != psutil.STATUS_ZOMBIE:
            for work_folder in job[:1]:
                obeyed = _obey(Path(work_folder, ORDER_FILE), obeyed)
            time.sleep(_PAUSE_S)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    for work_folder in job[:1]:
        shutil.rmtree(work_folder, ignore_errors=True)
    os._exit(130)


def _obey(file: Path, obeyed: str) -> str:
    """Carry out the order in a file, unless it was the last one, and return it.

    Only child processes are paused: this process continues to watch Slicer.
    """
    import psutil

    order = file.read_text() if file.exists() else ""
    if order != obeyed:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.suspend() if order == "pause" else child.resume()
        if order == "stop":
            # On Windows, `os.kill` would end the process at once.
            os.kill(os.getpid(), signal.SIGINT) if os.name == "posix" else signal.raise_signal(signal.SIGINT)
    return order


def _give_way_to_windows() -> None:
    """Lower the priority, so that Slicer's window stays responsive while all CPU cores compute."""
    import psutil

    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10)


def _wait_for_job() -> list[str]:
    """Return work folder and arguments from standard input; empty if Slicer has closed it."""
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        return []
    job: list[str] = json.loads(line)
    for name, stream in ((EVENTS_FILE, sys.stdout), (LOG_FILE, sys.stderr)):
        with Path(job[0], name).open("ab") as file:
            os.dup2(file.fileno(), stream.fileno())
    return job


def main() -> int:
    """Watch Slicer, run the command and return its exit code."""
    parent, *job = sys.argv[1:]
    # Slicer's image readers, which ITK would load from this path, crash SimpleITK outside of Slicer.
    os.environ.pop("ITK_AUTOLOAD_PATH", None)
    # Python must not search the folder of this script: its modules would shadow others of the same name.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    _give_way_to_windows()
    threading.Thread(target=_end_with, args=(int(parent), job), daemon=True).start()
    from tokenunet.cli import main as tokenunet

    if not job:
        from tokenunet.cli import segment  # noqa: F401  takes seconds, which pass before there is a job

        job += _wait_for_job()  # in place, so that the watching thread sees the work folder
    return tokenunet(job[1:]) if job else 0


if __name__ == "__main__":
    sys.exit(main())
