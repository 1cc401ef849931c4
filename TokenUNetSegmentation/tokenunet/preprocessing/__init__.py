"""Alignment, skull stripping and normalization of scans into a model's space, and the inverse transform."""

from tokenunet.preprocessing.align import align_study
from tokenunet.preprocessing.prepare import Prepared, prepare
from tokenunet.preprocessing.register import Alignment
from tokenunet.preprocessing.restore import Result, restore
from tokenunet.preprocessing.sequence_check import check_sequences

__all__ = ["Alignment", "Prepared", "Result", "align_study", "check_sequences", "prepare", "restore"]
