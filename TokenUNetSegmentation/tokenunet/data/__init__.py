"""Datasets of labeled patients: layouts, data loading, and checks before training."""

from tokenunet.data.cases import (
    Case,
    Dataset,
    DatasetFinding,
    ImageSource,
    dataset_from_json,
    dataset_to_json,
    read_scans,
    read_truth,
)
from tokenunet.data.checks import check_dataset
from tokenunet.data.fingerprint import FileHashes, fingerprint, hash_files
from tokenunet.data.layouts import read_dataset
from tokenunet.data.report import CaseFacts, DatasetReport

__all__ = [
    "Case",
    "CaseFacts",
    "Dataset",
    "DatasetFinding",
    "DatasetReport",
    "FileHashes",
    "ImageSource",
    "check_dataset",
    "dataset_from_json",
    "dataset_to_json",
    "fingerprint",
    "hash_files",
    "read_dataset",
    "read_scans",
    "read_truth",
]
