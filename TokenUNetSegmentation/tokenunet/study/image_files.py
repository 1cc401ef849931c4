"""Image files: their names, and reading them with the checks that ITK lacks."""

import gzip
import re
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import background_below
from tokenunet.core.errors import UnreadableImageError, UnusableImageError
from tokenunet.study.nifti import read_sheared, stored_values
from tokenunet.study.nifti_header import GZIP, check_nifti_header

_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_PAIR_ENDINGS = {".img": ".hdr", ".img.gz": ".hdr.gz"}
"""Ending of the header by that of the voxels, in pairs of Analyze and NIfTI files."""
READING = threading.Lock()
"""Lock for all reading: SimpleITK's readers occasionally crash if two threads read at the same time."""
_FLOAT_TYPES = (sitk.sitkFloat32, sitk.sitkFloat64)
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
    """Read an image of any kind; NaN around what it shows is read as a value of the background.

    Args:
        path: Image file.

    Raises:
        UnreadableImageError: If the file is missing, damaged or of unknown format.
        UnusableImageError: If it holds Inf, or NaN outside of the background, or a NIfTI file has an invalid placement.
    """
    check_name(path)
    if not path.is_file():
        raise UnreadableImageError(f"There is no file {path}.", "Check the path.")
    is_nifti = path.name.lower().endswith((".nii", ".nii.gz", *_PAIR_ENDINGS))
    if is_nifti:
        check_nifti_header(header_of_pair(path) or path, header_of_pair(path) is None)
    try:
        with READING, _named_by_content(path) as named:
            image = _read(named)
    except RuntimeError as error:
        raise UnreadableImageError(
            f"{path} cannot be read as an image.", "It may be damaged or in another format; copy or export it again."
        ) from error
    if is_nifti:
        values = stored_values(path, image)
    else:
        values = sitk.GetArrayViewFromImage(image) if image.GetPixelID() in _FLOAT_TYPES else None
    if values is None or np.isfinite(values).all():
        return image
    return _with_background(image, values, path)


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


@contextmanager
def _named_by_content(path: Path) -> Iterator[Path]:
    """Yield a path that ITK reads: that of an unpacked copy, if a compressed file is named as one that is not."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
    if not compressed or path.suffix.lower() != ".nii":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "scan.nii"
        try:
            copy.write_bytes(gzip.decompress(path.read_bytes()))
        except (EOFError, OSError, zlib.error) as error:
            raise UnreadableImageError(f"{path} is damaged or cut off.", "Copy or export it again.") from error
        yield copy


def _with_background(image: sitk.Image, values: NDArray[np.floating], path: Path) -> sitk.Image:
    """Return an image with NaN replaced by a value of the background: 0, or one below all others.

    Args:
        image: Image as ITK read it.
        values: Values of its file, in the shape of the image's array.
        path: File, for messages.

    Raises:
        UnusableImageError: If there is NaN inside of what the image shows, or Inf.
    """
    nan = nan_around(values)
    if nan is None:
        raise UnusableImageError(f"{path} holds values that are not numbers (NaN or Inf).", "Export it again.")
    array = with_background(sitk.GetArrayFromImage(image), nan)
    filled = sitk.GetImageFromArray(array)
    filled.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        filled.SetMetaData(key, image.GetMetaData(key))
    return filled


def nan_around(values: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Return where values are NaN, if only around what they show, as some programs write the background.

    Args:
        values: Voxels (D, H, W).

    Returns:
        Mask of NaN; None if there is NaN elsewhere, or Inf.
    """
    nan = np.isnan(values)
    return None if np.isinf(values).any() or nan.all() or not _is_around(nan) else nan


def with_background(array: NDArray[np.floating], nan: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return a copy of an array with 0 where a mask says so, or a value below all others if some are negative."""
    filled = array.copy()
    filled[nan] = background_below(array[~nan])
    return filled


def _is_around(nan: NDArray[np.bool_]) -> bool:
    """Return whether all marked voxels are outside of the others, as some programs write the background."""
    if not nan.any():
        return True
    if nan.squeeze().ndim != 3:
        return False
    shown = sitk.GetImageFromArray((~nan.squeeze()).astype(np.uint8))
    return not (sitk.GetArrayFromImage(sitk.BinaryFillhole(shown)) > sitk.GetArrayFromImage(shown)).any()
