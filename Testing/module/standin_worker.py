"""Stands in for `watched_worker.py`: says what a real run says and hands out a result that was made before.

``STANDIN_RESULT`` is the folder with the result, ``STANDIN_PAUSE`` the seconds between events, ``STANDIN_ERROR`` makes
it end with that error code, ``STANDIN_CHILD`` makes it start a child process that would run for ever.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2] / "TokenUNetSegmentation")

from tokenunet.core.events import ErrorEvent, ProgressEvent, ResultEvent, Stage, WarningEvent  # noqa: E402


def say(event: ProgressEvent | WarningEvent | ResultEvent | ErrorEvent) -> None:
    print(event.to_json(), flush=True)
    time.sleep(float(os.environ.get("STANDIN_PAUSE", "0.01")))


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--t1", "--t1ce", "--t2", "--flair"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options, _others = parser.parse_known_args(sys.argv[4:])
    print("reading the scans", file=sys.stderr, flush=True)
    if "STANDIN_CHILD" in os.environ:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
    for path in (options.t1, options.t1ce, options.t2, options.flair):
        assert path is None or str(path) == "none" or path.stat().st_size > 1000, path
    for number, stage in enumerate(Stage):
        for part in range(4):
            say(ProgressEvent(stage, (number + part / 4) / len(Stage), 2.0))
        if stage is Stage.PREPARE and "STANDIN_ERROR" in os.environ:
            say(ErrorEvent(os.environ["STANDIN_ERROR"], f"{options.t2} does not cover the brain.", "Load another T2."))
            return 3
    say(WarningEvent("thick_slices", "The FLAIR scan has slices of 6 mm."))
    shutil.copytree(os.environ["STANDIN_RESULT"], options.output)
    say(ResultEvent(str(options.output), {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
