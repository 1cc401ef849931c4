"""Image files: their names, and reading them with the checks that ITK lacks."""

import re
import threading
from pathlib import Path

import SimpleITK as sitk

from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.nifti import check_nifti_data, read_sheared

_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_PAIR_ENDINGS = {".img": ".hdr", ".img.gz": ".hdr.gz"}
"""Ending of the header by that of the voxels, in pairs of Analyze and NIfTI files."""
READING = threading.Lock()
"""Lock for all reading: SimpleITK's readers occasionally crash if two threads read at the same time."""
_NOT_SCANS = {
    *("seg", "segm", "segmentation", "segmentations", "label", "labels", "pred", "prediction", "truth", "roi"),
    *("mask", "brainmask", "tumormask", "tumourmask", "glistrboost", "parcellation"),
}
"""Words in the names of segmentations and masks, which may name a sequence too, such as ``labels_T2.nii.gz``."""


def is_image_file(path: Path) -> bool:
    """Return whether a file is named as a scan: in a known format, not hidden, and not a segmentation."""
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


def read_image(path: Path) -> sitk.Image:
    """Read an image of any kind.

    Args:
        path: Image file.

    Raises:
        UnreadableImageError: If the file is missing, damaged or of unknown format.
        UnusableImageError: If a NIfTI file has sheared axes, Inf, or NaN outside of the background.
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
    """Check that SimpleITK can take a path; it would end the process if a name were not UTF-8.

    Old archives hold such names.

    Args:
        path: File that will be read.

    Raises:
        UnreadableImageError: If the path is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UnreadableImageError(
            f"The path {str(path)!a} holds characters that are not UTF-8.", "Rename the file or its folder."
        ) from error


def _read(path: Path) -> sitk.Image:
    """Read an image without ITK's warnings, and one with slightly sheared axes as if it had none."""
    warned = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what matters is checked here, with the file's name
    try:
        return sitk.ReadImage(path)
    except RuntimeError as error:
        if "orthonormal" in str(error):
            return read_sheared(path)
        raise
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
