"""Collections that keep the ground truths apart from the scans: UPENN-GBM and BIDS."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_UPENN_SCANS = "images_structural"
_UPENN_TRUTHS = "images_segm"
_BIDS_PATIENT = "sub-*"
_OF_TUMORS = re.compile(r"tumou?r|lesion|glioma|brats|manual|truth", re.IGNORECASE)
"""What a derivative of BIDS must say; others segment tissues, which would pass for parts of a tumor."""


@dataclass(frozen=True)
class SeparateTruths:
    """Where a collection keeps its scans and its ground truths.

    Attributes:
        layout: Name of the layout.
        scans: Folders below which the patients' scans are.
        truths_of: Returns the files that may be the ground truth of the scans in a folder.
        only_with_truth: Whether cases without a ground truth are left out, as the collection marks only some.
    """

    layout: str
    scans: Sequence[Path]
    truths_of: Callable[[Path], list[Path]]
    only_with_truth: bool = False


def separate_truths(root: Path) -> SeparateTruths | None:
    """Return where a folder keeps scans and ground truths; None if they are next to each other.

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
    """Take the segmentations that were corrected by hand; those in ``automated_segm`` were checked by nobody."""

    def truths_of(folder: Path) -> list[Path]:
        return sorted((root / _UPENN_TRUTHS).glob(f"{folder.name}_segm.nii*"))

    return SeparateTruths("UPENN-GBM", [root / _UPENN_SCANS], truths_of, only_with_truth=True)


def _bids_truths(root: Path, folder: Path) -> list[Path]:
    """Look next to the scans, and in the same place of every derivative."""
    place = folder.relative_to(root)
    derived = [file for pipeline in sorted(root.glob("derivatives/*")) for file in sorted((pipeline / place).glob("*"))]
    found = [file for file in derived if _OF_TUMORS.search(str(file.relative_to(root / "derivatives")))]
    return [file for file in (*sorted(folder.iterdir()), *found) if file.is_file()]
