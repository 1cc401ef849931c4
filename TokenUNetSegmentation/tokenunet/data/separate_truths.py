"""Layouts with ground truths and scans in separate folders: UPENN-GBM and BIDS."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_UPENN_SCANS = "images_structural"
_UPENN_TRUTHS = "images_segm"
_BIDS_PATIENT = "sub-*"
_OF_TUMORS = re.compile(r"tumou?r|lesion|glioma|brats|manual|truth", re.IGNORECASE)
"""Required in the path of a BIDS derivative: others segment tissues, whose labels look like parts of a tumor."""


@dataclass(frozen=True)
class SeparateTruths:
    """Locations of scans and ground truths in a dataset.

    Attributes:
        layout: Name of the layout.
        scans: Folders that contain the scans at any depth.
        truths_of: Function that returns the possible ground truths of the scans in a folder.
        only_with_truth: Whether cases without a ground truth are excluded, as the dataset labels only some of them.
    """

    layout: str
    scans: Sequence[Path]
    truths_of: Callable[[Path], list[Path]]
    only_with_truth: bool = False


def separate_truths(root: Path) -> SeparateTruths | None:
    """Return the locations of scans and ground truths in a folder; None if they are next to each other.

    Args:
        root: Folder of the dataset.
    """
    for folder in (root, root / "NIfTI-files"):
        if (folder / _UPENN_SCANS).is_dir() and (folder / _UPENN_TRUTHS).is_dir():
            return _upenn(folder)
    patients = sorted(path for path in root.glob(_BIDS_PATIENT) if path.is_dir())
    if any(found for patient in patients for found in (*patient.glob("anat"), *patient.glob("ses-*/anat"))):
        return SeparateTruths("BIDS", patients, lambda folder: _bids_truths(root, folder))
    return None


def _upenn(root: Path) -> SeparateTruths:
    """Return the locations in UPENN-GBM, ignoring ``automated_segm``, whose segmentations nobody corrected."""

    def truths_of(folder: Path) -> list[Path]:
        return sorted((root / _UPENN_TRUTHS).glob(f"{folder.name}_segm.nii*"))

    return SeparateTruths("UPENN-GBM", [root / _UPENN_SCANS], truths_of, only_with_truth=True)


def _bids_truths(root: Path, folder: Path) -> list[Path]:
    """Return possible ground truths next to the scans and at the same relative path in every derivative."""
    place = folder.relative_to(root)
    derived = [file for pipeline in sorted(root.glob("derivatives/*")) for file in sorted((pipeline / place).glob("*"))]
    found = [file for file in derived if _OF_TUMORS.search(str(file.relative_to(root / "derivatives")))]
    return [file for file in (*sorted(folder.iterdir()), *found) if file.is_file()]
