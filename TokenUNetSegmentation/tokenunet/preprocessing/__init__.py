"""Reading a patient's scans, bringing them into a model's space, and bringing the result back."""

from tokenunet.preprocessing.align_study import align_study
from tokenunet.preprocessing.find_study import FoundStudy, find_study
from tokenunet.preprocessing.findings import Finding
from tokenunet.preprocessing.prepare import ModelSpace, Prepared, prepare
from tokenunet.preprocessing.registration import Alignment
from tokenunet.preprocessing.restore import Result, restore
from tokenunet.preprocessing.sequence_check import check_sequences
from tokenunet.preprocessing.study import Scan, Study, find_sequences, read_study

__all__ = [
    "Alignment",
    "Finding",
    "FoundStudy",
    "ModelSpace",
    "Prepared",
    "Result",
    "Scan",
    "Study",
    "align_study",
    "check_sequences",
    "find_sequences",
    "find_study",
    "prepare",
    "read_study",
    "restore",
]
