"""Script that runs the ``tokenunet`` command for the module and continues when Slicer ends.

Usage: ``detached_training.py SLICER_PROCESS_ID WORK_FOLDER ARGUMENTS_OF_TOKENUNET...``
"""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run the command and return its exit code."""
    # Slicer's image readers, which ITK would load from this path, crash SimpleITK outside of Slicer.
    os.environ.pop("ITK_AUTOLOAD_PATH", None)
    # Python must not search the folder of this script, but that of the library: next to this module when installed, in
    # the other module's folder in the source tree.
    home = Path(__file__).resolve().parents[2]
    sys.path[0] = str(home if (home / "tokenunet").is_dir() else home.parent / "TokenUNetSegmentation")
    import psutil

    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10)
    from tokenunet.cli import main as tokenunet

    return tokenunet(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
