"""How fast and how frugal the networks are, beside their peers and beside what the machine could do at best."""

from tokenunet.benchmark.rows import Kind, Row
from tokenunet.benchmark.run import run_benchmark

__all__ = ["Kind", "Row", "run_benchmark"]
