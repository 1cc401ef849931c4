"""Scans of a patient, found by name, read and checked one by one."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tokenunet.core.background import background_value, find_padding
from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, UnreadableImageError, UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName, sequence_named
from tokenunet.io.files import sha256_of
from tokenunet.study.nifti import check_nifti_data, placement_finding, read_sheared

_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_PAIR_ENDINGS = {".img": ".hdr", ".img.gz": ".hdr.gz"}
"""Of Analyze and NIfTI pairs: the voxels' file by its header's."""
READING = threading.Lock()
"""SimpleITK's readers crash now and then where two threads read at the same time."""
REFERENCES: tuple[SequenceName, ...] = ("T1ce", "T1", "FLAIR", "T2")
"""Sequences on whose grid results are, the preferred first; a model's other channels come after them."""
_SMALLEST_SIDE = 8
"""Voxels; fewer slices than this show no brain."""
_SPACING_MM = (0.1, 20.0)
_SAME_CORRELATION = 0.9999
"""Of two copies of one scan, one of them rescaled; no two sequences go together so."""
_FEWEST_COMPARED = 500
"""Voxels that two scans must both show to be compared without their background."""
_NOT_SCANS = {
    *("seg", "segm", "segmentation", "segmentations", "label", "labels", "pred", "prediction", "truth", "roi"),
    *("mask", "brainmask", "tumormask", "tumourmask", "glistrboost", "parcellation"),
}
"""Words in the names of what is drawn on a scan and may carry its name too, such as ``labels_T2.nii.gz``."""


@dataclass(frozen=True)
class Scan:
    """One scan.

    Attributes:
        image: 3-D, 32-bit float, finite and not constant.
        source: where it came from: a file's path or a node's name.
        sha256: of the file.
        placed: whether its file says how it lies in space.
        findings: what the user should know about it.
    """

    image: sitk.Image
    source: str
    sha256: str
    placed: bool = True
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Study:
    """Scans of one patient by sequence, and whose grid the results are on."""

    scans: dict[SequenceName, Scan]
    reference: SequenceName = "T1ce"


def find_sequences(folder: Path, without: tuple[SequenceName, ...] = ()) -> dict[SequenceName, Path]:
    """The image files of a folder by the sequences that their names speak of; segmentations are passed over.

    Args:
        folder: holds the files itself, not in folders below.
        without: sequences that need not be there and are not looked for.

    Raises:
        MissingSequenceError: where one is not found, or there is no such folder.
        AmbiguousSequenceError: where two files claim to be the same.
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
                f"Name the right one with --{sequence.lower()}.",
            )
        found[sequence] = path
    missing = [s for s in SEQUENCES if s not in found and s not in without]
    if missing:
        names = ", ".join(p.name for p in images) or "no scans"
        raise MissingSequenceError(
            f"{folder} has no image named after {' or '.join(missing)}; it holds {names}.",
            "Rename the files, or name them with " + ", ".join(f"--{s.lower()}" for s in missing) + ".",
        )
    return found


def is_image_file(path: Path) -> bool:
    """Return whether a file is named as a scan: in a known format, not hidden, and not drawn on a scan."""
    words = set(re.split(r"[^a-z0-9]+", path.name.lower()))
    return not words & _NOT_SCANS and is_in_image_format(path)


def is_in_image_format(path: Path) -> bool:
    """Return whether a file is in a known format of images, and not hidden."""
    hidden = path.name.startswith(".")  # macOS leaves "._t1.nii.gz" next to the file on foreign disks
    known = path.name.lower().endswith(_IMAGE_ENDINGS) or header_of_pair(path) is not None
    return known and not hidden and path.is_file()


def header_of_pair(path: Path) -> Path | None:
    """Return the header that belongs to a file of voxels (``t1.img``); None if there is none."""
    for ending, header_ending in _PAIR_ENDINGS.items():
        if path.name.lower().endswith(ending):
            stem = path.name[: -len(ending)]
            names = (stem + header_ending, stem + header_ending.upper())
            return next((header for name in names if (header := path.with_name(name)).is_file()), None)
    return None


def read_study(paths: dict[SequenceName, Path], reference: SequenceName = "T1ce") -> Study:
    """Reads and checks the four scans.

    Raises:
        MissingSequenceError: where a sequence is not among ``paths``.
        AmbiguousSequenceError: where two sequences have the same content.
        UnreadableImageError: where a file is absent, damaged or of unknown format.
        UnusableImageError: where an image is not a 3-D scan with finite, varying values.
    """
    return study_of({sequence: read_scan(paths[sequence]) for sequence in SEQUENCES if sequence in paths}, reference)


def study_of(
    scans: dict[SequenceName, Scan],
    reference: SequenceName | None = "T1ce",
    needed: Sequence[SequenceName] = SEQUENCES,
) -> Study:
    """Make a study of scans that were read before; see `read_study` for the errors.

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
    """Return whether the values of what both show are the same, but for scale and offset."""
    if one.GetSize() != other.GetSize():
        return False
    arrays = [sitk.GetArrayViewFromImage(image)[::3, ::3, ::3] for image in (one, other)]
    if np.array_equal(*arrays):
        return True
    # Backgrounds go together whatever the scans show.
    shown = np.logical_and.reduce([(array != array.min()) & (array != background_value(array)) for array in arrays])
    if shown.sum() < _FEWEST_COMPARED:
        shown[:] = True
    values = [np.clip(array[shown], *np.percentile(array[shown], [0.5, 99.5])) for array in arrays]
    return all(v.std() > 0 for v in values) and float(np.corrcoef(*values)[0, 1]) > _SAME_CORRELATION


def read_scan(path: Path) -> Scan:
    """Reads and checks one scan; see `read_study` for the errors."""
    return as_scan(read_image(path), str(path), sha256_of(path))


def read_image(path: Path) -> sitk.Image:
    """Reads an image of any kind, whole.

    Raises:
        UnreadableImageError: where the file is absent, damaged or of unknown format.
        UnusableImageError: where a voxel inside of what a NIfTI file shows is NaN or Inf, or its axes are sheared.
    """
    check_name(path)
    if not path.is_file():
        raise UnreadableImageError(f"There is no file {path}.", "Check the path.")
    try:
        with READING:
            image = _read(path)
    except RuntimeError as error:
        raise UnreadableImageError(
            f"{path} cannot be read as an image.", "It may be damaged or in another format; copy or export it again."
        ) from error
    if path.name.lower().endswith((".nii", ".nii.gz", *_PAIR_ENDINGS)):
        check_nifti_data(path, image)
    return image


def check_name(path: Path) -> None:
    """Raises UnreadableImageError where SimpleITK would end the process, as old archives name files.

    Such names come out of systems that wrote other characters than UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UnreadableImageError(
            f"The path {str(path)!a} holds characters that are not UTF-8.", "Rename the file or its folder."
        ) from error


def _read(path: Path) -> sitk.Image:
    warned = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what matters of them is checked here, and said by name
    try:
        return sitk.ReadImage(path)
    except RuntimeError as error:
        if "orthonormal" in str(error):
            return read_sheared(path)
        raise
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)


def as_scan(image: sitk.Image, source: str, sha256: str) -> Scan:
    """Check an image and make a scan of it; padding becomes as dark as the air next to it.

    Args:
        image: Image of any kind.
        source: Where it came from, for messages.
        sha256: Of its file.

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
            "voxels); they were taken for air."
        )
        findings.append(Finding("padding", text))
        image = Grid.of(image).image(np.where(padded, np.float32(air), array))
    return Scan(image, source, sha256, placed=codes != ["0", "0"], findings=tuple(findings))


def _check_values(image: sitk.Image, source: str) -> None:
    if min(image.GetSize()) < _SMALLEST_SIDE:
        size = " x ".join(map(str, image.GetSize()))
        raise UnusableImageError(f"{source} has only {size} voxels.", "Choose a scan of the whole head.")
    if not all(_SPACING_MM[0] <= s <= _SPACING_MM[1] for s in image.GetSpacing()):
        spacing = " x ".join(f"{s:g}" for s in image.GetSpacing())
        raise UnusableImageError(f"{source} has voxels of {spacing} mm.", "Check the header of the file.")
    array = sitk.GetArrayViewFromImage(image)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UnusableImageError(f"{source} holds values that are not numbers (NaN or Inf).", "Export the scan again.")
    if low == high:
        what = "empty: every voxel is 0" if low == 0 else f"constant: every voxel is {low:g}"
        raise UnusableImageError(f"{source} is {what}.", "Choose another file.")
