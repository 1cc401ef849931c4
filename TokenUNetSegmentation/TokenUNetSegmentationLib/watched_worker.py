"""Runs the ``tokenunet`` command for the module, and ends when Slicer ends, however that happens.

Called as a script: ``watched_worker.py SLICER_PROCESS_ID WORK_FOLDER ARGUMENTS_OF_TOKENUNET...``
"""

import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_PAUSE_S = 1.0


def _end_with(parent: int, work_folder: str) -> None:
    """Waits for the end of Slicer; then removes what this process and its children are and have written."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        application = psutil.Process(parent)
        while application.is_running() and application.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_PAUSE_S)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    shutil.rmtree(work_folder, ignore_errors=True)
    os._exit(130)


def _give_way_to_windows() -> None:
    """Lets Slicer's window be drawn while all processors compute."""
    import psutil

    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10)


def main() -> int:
    """Starts the watch and runs the command; returns its exit code."""
    parent, work_folder, *arguments = sys.argv[1:]
    # Slicer's image readers, which ITK would load from there, crash SimpleITK outside of Slicer.
    os.environ.pop("ITK_AUTOLOAD_PATH", None)
    # The folder of this script must not be searched: its modules' names would hide others.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    _give_way_to_windows()
    threading.Thread(target=_end_with, args=(int(parent), work_folder), daemon=True).start()
    from tokenunet.cli import main as tokenunet

    return tokenunet(arguments)


if __name__ == "__main__":
    sys.exit(main())
