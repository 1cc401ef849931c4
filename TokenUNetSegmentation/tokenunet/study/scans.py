"""Scans of a patient: found by name, read and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tokenunet.core.background import background_value, find_corners, find_padding
from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName, sequence_named
from tokenunet.io.files import sha256_of
from tokenunet.study.image_files import is_image_file, read_image
from tokenunet.study.nifti import placement_finding

REFERENCES: tuple[SequenceName, ...] = ("T1ce", "T1", "FLAIR", "T2")
"""Sequences in order of preference for the reference; a model's other channels follow them."""
_SMALLEST_SIDE = 8
"""Number of voxels along the shortest side; fewer slices do not show a brain."""
_SPACING_MM = (0.1, 20.0)
"""Range of plausible spacings."""
_LARGEST_REACH_MM = 800.0
"""Largest side of a plausible field of view; on a larger one, the network's grid would fill the memory."""
_SAME_CORRELATION = 0.9999
"""Correlation from which on two scans are copies, possibly rescaled; different sequences correlate less."""
_FEWEST_VALUES = 10
"""Number of different values in a scan; a mask or label map has fewer."""
_SAMPLING = 7
"""Step between the voxels of which values are counted first, to save time."""
_FEWEST_COMPARED = 500
"""Number of voxels that two scans must both show to be compared without their background."""


@dataclass(frozen=True)
class Scan:
    """One scan.

    Attributes:
        image: Image in 3-D, 32-bit float, finite and not constant.
        source: Where the scan came from: a file's path or a node's name.
        sha256: SHA-256 checksum of the file.
        placed: Whether the file states its orientation.
        findings: Findings for the user.
    """

    image: sitk.Image
    source: str
    sha256: str
    placed: bool = True
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Study:
    """Scans of one patient.

    Attributes:
        scans: Scan by sequence.
        reference: Sequence on whose grid the results are.
    """

    scans: dict[SequenceName, Scan]
    reference: SequenceName = "T1ce"


def find_sequences(folder: Path, without: tuple[SequenceName, ...] = ()) -> dict[SequenceName, Path]:
    """Find the image files of the four sequences in a folder by their names.

    Args:
        folder: Folder with the files, not in folders below; segmentations are ignored.
        without: Sequences that are not looked for.

    Returns:
        File by sequence.

    Raises:
        MissingSequenceError: If a sequence is not found, or there is no such folder.
        AmbiguousSequenceError: If two files are named after the same sequence.
    """
    if not folder.is_dir():
        raise MissingSequenceError(f"There is no folder {folder}.", "Check the path.")
    images = sorted(p for p in folder.iterdir() if is_image_file(p))
    found: dict[SequenceName, Path] = {}
    for path in images:
        sequence = sequence_named(path.name)
        if sequence is None or sequence in without:
            continue
        if sequence in found:
            raise AmbiguousSequenceError(
                f"{found[sequence].name} and {path.name} in {folder} both look like {sequence}.",
                "Leave only one of them there.",
            )
        found[sequence] = path
    missing = [s for s in SEQUENCES if s not in found and s not in without]
    if missing:
        names = ", ".join(p.name for p in images) or "no scans"
        raise MissingSequenceError(
            f"{folder} has no image named after {' or '.join(missing)}; it holds {names}.",
            f"Put the scans there, named as {', '.join(s.lower() for s in SEQUENCES)}.",
        )
    return found


def read_study(paths: dict[SequenceName, Path], reference: SequenceName = "T1ce") -> Study:
    """Read and check the four scans.

    Args:
        paths: Image file by sequence.
        reference: Sequence on whose grid the results are.

    Raises:
        MissingSequenceError: If a sequence is not among `paths`.
        AmbiguousSequenceError: If two sequences have the same content.
        UnreadableImageError: If a file is missing, damaged or of unknown format.
        UnusableImageError: If an image is not a 3-D scan with finite, varying values.

    Example:
        >>> study = read_study(find_sequences(Path("patient")))  # doctest: +SKIP
    """
    return study_of({sequence: read_scan(paths[sequence]) for sequence in SEQUENCES if sequence in paths}, reference)


def study_of(
    scans: dict[SequenceName, Scan],
    reference: SequenceName | None = "T1ce",
    needed: Sequence[SequenceName] = SEQUENCES,
) -> Study:
    """Create a study from scans that were read before; see `read_study` for the errors.

    Args:
        scans: Scans by sequence.
        reference: Sequence on whose grid the results are; None chooses T1ce, or T1 if its voxels are less than half as
            large, or else the first scan of `REFERENCES` that is there.
        needed: Sequences that must be among them.
    """
    missing = [s for s in needed if s not in scans]
    if missing:
        raise MissingSequenceError(f"No image was given for {', '.join(missing)}.")
    if reference is not None and reference not in scans:
        raise MissingSequenceError(
            f"There is no {reference} image for the results to be on.", f"Choose from {', '.join(scans)}."
        )
    for one, other in combinations(scans, 2):
        if _same_content(scans[one].image, scans[other].image):
            raise AmbiguousSequenceError(
                f"{one} and {other} are the same image ({scans[one].source}, {scans[other].source}).",
                f"Choose the right file for {one} or {other}.",
            )
    if reference is None:
        reference = next(sequence for sequence in (*REFERENCES, *scans) if sequence in scans)
        if reference == "T1ce" and "T1" in scans:
            much_finer = Grid.of(scans["T1"].image).voxel_ml < Grid.of(scans["T1ce"].image).voxel_ml / 2
            reference = "T1" if much_finer else "T1ce"
    return Study(scans, reference)


def _same_content(one: sitk.Image, other: sitk.Image) -> bool:
    """Return whether two images have the same values up to scale and offset, where both show something."""
    if one.GetSize() != other.GetSize():
        return False
    arrays = [sitk.GetArrayViewFromImage(image)[::3, ::3, ::3] for image in (one, other)]
    if np.array_equal(*arrays):
        return True
    # The backgrounds correlate in any two scans.
    shown = np.logical_and.reduce([(array != array.min()) & (array != background_value(array)) for array in arrays])
    if shown.sum() < _FEWEST_COMPARED:
        shown[:] = True
    values = [np.clip(array[shown], *np.percentile(array[shown], [0.5, 99.5])) for array in arrays]
    return all(v.std() > 0 for v in values) and float(np.corrcoef(*values)[0, 1]) > _SAME_CORRELATION


def read_scan(path: Path) -> Scan:
    """Read and check one scan; see `read_study` for the errors.

    Args:
        path: Image file.
    """
    return as_scan(read_image(path), str(path), sha256_of(path))


def as_scan(image: sitk.Image, source: str, sha256: str) -> Scan:
    """Check an image and create a scan from it, with padding set to the intensity of air.

    Args:
        image: Image of any kind.
        source: Where the image came from, for messages.
        sha256: SHA-256 checksum of its file.

    Raises:
        UnusableImageError: If it is not a 3-D scan with finite, varying values.
    """
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    kind = image.GetPixelIDTypeAsString()
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1 or "complex" in kind:
        raise UnusableImageError(
            f"{source} is not a 3-D image with one value per voxel: it has {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} values per voxel ({kind}).",
            "Choose a single 3-D scan.",
        )
    codes = [image.GetMetaData(code) for code in ("qform_code", "sform_code") if image.HasMetaDataKey(code)]
    findings = [finding for finding in (placement_finding(image, source),) if finding is not None]
    image = sitk.Cast(image, sitk.sitkFloat32)
    _check_values(image, source)
    array = sitk.GetArrayViewFromImage(image)
    padding = find_padding(array)
    if padding is not None:
        padded, air = padding
        text = (
            f"{source} is padded with values around {float(np.median(array[padded])):g} ({padded.mean():.0%} of its "
            "voxels); they were treated as air."
        )
        findings.append(Finding("padding", text))
        image = Grid.of(image).image(np.where(padded, np.float32(air), array))
    array = sitk.GetArrayViewFromImage(image)
    corners = find_corners(array)
    if corners is not None:
        outside, background = corners
        image = Grid.of(image).image(np.where(outside, np.float32(background), array))
    return Scan(image, source, sha256, placed=codes != ["0", "0"], findings=tuple(findings))


def _check_values(image: sitk.Image, source: str) -> None:
    """Raise UnusableImageError if an image is too small, implausibly spaced, not finite, constant or a label map."""
    if min(image.GetSize()) < _SMALLEST_SIDE:
        size = " x ".join(map(str, image.GetSize()))
        raise UnusableImageError(f"{source} has only {size} voxels.", "Choose a scan of the whole head.")
    if not all(_SPACING_MM[0] <= s <= _SPACING_MM[1] for s in image.GetSpacing()):
        spacing = " x ".join(f"{s:g}" for s in image.GetSpacing())
        raise UnusableImageError(f"{source} has voxels of {spacing} mm.", "Check the header of the file.")
    reach = [n * mm for n, mm in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    if max(reach) > _LARGEST_REACH_MM:
        raise UnusableImageError(
            f"{source} has a field of view of {' x '.join(f'{mm:.0f}' for mm in reach)} mm, larger than any head's.",
            "Check the size of the voxels in the header of the file.",
        )
    array = sitk.GetArrayViewFromImage(image)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UnusableImageError(f"{source} holds values that are not numbers (NaN or Inf).", "Export the scan again.")
    if low == high:
        what = "empty: every voxel is 0" if low == 0 else f"constant: every voxel is {low:g}"
        raise UnusableImageError(f"{source} is {what}.", "Choose another file.")
    if len(np.unique(array[::_SAMPLING, ::_SAMPLING, ::_SAMPLING])) < _FEWEST_VALUES:
        values = len(np.unique(array))
        if values < _FEWEST_VALUES:
            raise UnusableImageError(
                f"{source} has only {values} different values, as a mask or label map has.", "Choose the scan itself."
            )
