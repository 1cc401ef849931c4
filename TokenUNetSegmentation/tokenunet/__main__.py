"""Command line interface as ``python -m tokenunet``."""

import sys

from tokenunet.cli import main

sys.exit(main())
