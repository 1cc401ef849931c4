"""What tells whether a dataset is still the one that it was."""

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
"""SHA-256 of every case's files, by sequence and ``truth``."""


def hash_files(dataset: Dataset, on_event: OnEvent = ignore_events) -> FileHashes:
    """Reads all files, without looking at the images in them.

    Args:
        dataset: whose files.
        on_event: receives progress; may raise to stop.

    Raises:
        UnreadableImageError: where a file is gone.
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
        raise UnreadableImageError(f"{path} cannot be read: {error.strerror}.", "Bring it back.") from error


def fingerprint(dataset: Dataset, hashes: Mapping[str, Mapping[str, str]]) -> str:
    """SHA-256 over names, patients, label schemes and files' contents of all cases, wherever they lie."""
    parts = []
    for case in sorted(dataset.cases, key=lambda case: case.name):
        channels = {sequence: source.channel for sequence, source in case.images.items()}
        parts.append([case.name, case.patient, sorted(case.label_values.items()), hashes[case.name], channels])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
