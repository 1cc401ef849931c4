"""Fingerprint of a dataset, by which changes to its files are detected."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.events import OnEvent, Progress, Stage, ignore_events
from tokenunet.data.cases import Dataset
from tokenunet.io.files import sha256_of

FileHashes = dict[str, dict[str, str]]
"""SHA-256 of the files of each case, by sequence and of the ground truth."""


def hash_files(dataset: Dataset, on_event: OnEvent = ignore_events) -> FileHashes:
    """Hash all files of a dataset without decoding the images.

    Args:
        dataset: Dataset whose files are read.
        on_event: Callback that receives progress; an exception from it cancels the call.

    Raises:
        UnreadableImageError: If a file is missing or cannot be read.
    """
    progress = Progress(on_event, {Stage.CHECK: 1.0})
    hashes: FileHashes = {}
    with ThreadPoolExecutor() as pool:
        for case in dataset.cases:
            paths: dict[str, Path] = {sequence: source.path for sequence, source in case.images.items()}
            if case.truth is not None:
                paths["truth"] = case.truth
            hashes[case.name] = dict(zip(paths, pool.map(_hash, paths.values()), strict=True))
            progress.update(Stage.CHECK, len(hashes) / len(dataset.cases))
    return hashes


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise UnreadableImageError(f"{path} cannot be read: {error.strerror}.", "Restore it.") from error


def fingerprint(dataset: Dataset, hashes: Mapping[str, Mapping[str, str]]) -> str:
    """Compute the SHA-256 of the names, patients, label schemes and file contents of all cases, independent of paths.

    Args:
        dataset: Dataset to describe.
        hashes: SHA-256 of the files from `hash_files`.
    """
    parts = []
    for case in sorted(dataset.cases, key=lambda case: case.name):
        channels = {sequence: source.channel for sequence, source in case.images.items()}
        parts.append([case.name, case.patient, sorted(case.label_values.items()), hashes[case.name], channels])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
