"""Time and memory of the networks, next to baselines and the measured hardware peak."""

from tokenunet.benchmark.rows import Kind, Row
from tokenunet.benchmark.run import run_benchmark

__all__ = ["Kind", "Row", "run_benchmark"]
