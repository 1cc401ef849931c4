"""Labelled patients: found in a folder, read, and checked before anything is trained on them."""

from tokenunet.training.dataset.case import (
    Case,
    Dataset,
    Finding,
    ImageSource,
    dataset_from_json,
    dataset_to_json,
    read_study,
    read_truth,
)
from tokenunet.training.dataset.check import check_dataset
from tokenunet.training.dataset.fingerprint import FileHashes, fingerprint, hash_files
from tokenunet.training.dataset.layouts import read_dataset
from tokenunet.training.dataset.report import CaseFacts, DatasetReport

__all__ = [
    "Case",
    "CaseFacts",
    "Dataset",
    "DatasetReport",
    "FileHashes",
    "Finding",
    "ImageSource",
    "check_dataset",
    "dataset_from_json",
    "dataset_to_json",
    "fingerprint",
    "hash_files",
    "read_dataset",
    "read_study",
    "read_truth",
]
