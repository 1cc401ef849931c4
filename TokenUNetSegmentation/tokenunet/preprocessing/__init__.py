"""Reading a patient's scans, bringing them into a model's space, and bringing the result back."""

from tokenunet.preprocessing.findings import Finding
from tokenunet.preprocessing.prepare import ModelSpace, Prepared, prepare
from tokenunet.preprocessing.restore import Result, restore
from tokenunet.preprocessing.sequence_check import check_sequences
from tokenunet.preprocessing.study import Scan, Study, find_sequences, read_study

__all__ = [
    "Finding",
    "ModelSpace",
    "Prepared",
    "Result",
    "Scan",
    "Study",
    "check_sequences",
    "find_sequences",
    "prepare",
    "read_study",
    "restore",
]
