"""Runs the ``tokenunet`` command for the module and goes on when Slicer ends.

Called as a script: ``detached_training.py SLICER_PROCESS_ID WORK_FOLDER ARGUMENTS_OF_TOKENUNET...``
"""

import os
import sys
from pathlib import Path


def main() -> int:
    """Runs the command; returns its exit code."""
    # Slicer's image readers, which ITK would load from there, crash SimpleITK outside of Slicer.
    os.environ.pop("ITK_AUTOLOAD_PATH", None)
    # As the folder of this script must not be searched, where the library lies: beside it once installed, and in the
    # other module's folder in the source tree.
    home = Path(__file__).resolve().parents[2]
    sys.path[0] = str(home if (home / "tokenunet").is_dir() else home.parent / "TokenUNetSegmentation")
    import psutil

    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10)
    from tokenunet.cli import main as tokenunet

    return tokenunet(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
