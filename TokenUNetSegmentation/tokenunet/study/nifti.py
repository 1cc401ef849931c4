"""What ITK's NIfTI reader passes over: data cut off, NaN or Inf (all read as 0), or refuses: slight shear."""

import gzip
import os
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError, UnusableImageError

_FLOAT_TYPES = {"16": "f4", "64": "f8"}
"""NumPy's names of NIfTI's floating-point ``datatype`` codes."""

_GZIP = b"\x1f\x8b"
_MOST_SHEAR_DEGREES = 0.5
"""Axes so far from right angles move a brain's surface by less than a millimeter."""


def read_sheared(path: Path) -> sitk.Image:
    """A file whose header places it with axes that are nearly at right angles, with axes that are so.

    Raises:
        UnusableImageError: where they are far from it.
        RuntimeError: of SimpleITK.
    """
    with mock.patch.dict(os.environ, {"ITK_NIFTI_SFORM_PERMISSIVE": "ON"}):
        image = sitk.ReadImage(path)
    rows = [[float(number) for number in image.GetMetaData(f"srow_{axis}").split()[:3]] for axis in "xyz"]
    axes = np.array(rows) / np.linalg.norm(rows, axis=0)
    cosines = axes.T @ axes - np.eye(3)
    shear = float(np.degrees(np.arcsin(np.abs(cosines).max())))
    if shear > _MOST_SHEAR_DEGREES:
        raise UnusableImageError(
            f"{path} has axes that are {shear:.1f}° from right angles.",
            "It is the result of an affine registration: resample it onto a grid with right angles first.",
        )
    return image


def check_nifti_data(path: Path, image: sitk.Image) -> None:
    """Looks at a NIfTI file's own bytes.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        image: the file as SimpleITK read it.

    Raises:
        UnreadableImageError: where data are missing, or the compressed stream is damaged.
        UnusableImageError: where a voxel is NaN or Inf; NaN all around what is shown is left to be read as 0.
    """
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):  # whatever the name says, the reader goes by the content, too
            data = gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableImageError(f"{path} is damaged or cut off.", "Copy or export it again.") from error
    values = image.GetNumberOfPixels()
    start = int(float(image.GetMetaData("vox_offset")))
    if len(data) < start + values * int(image.GetMetaData("bitpix")) // 8:
        raise UnreadableImageError(f"{path} is cut off.", "Copy or export it again.")
    float_type = _FLOAT_TYPES.get(image.GetMetaData("datatype"))
    if float_type:
        byte_order = "<" if data[0] else ">"  # the header begins with its length, 348 or 540
        stored = np.frombuffer(data, byte_order + float_type, count=values, offset=start)
        if not np.isfinite(stored).all() and not _only_around(stored.reshape(image.GetSize()[::-1])):
            raise UnusableImageError(f"{path} holds values that are not numbers (NaN or Inf).", "Export it again.")


def _only_around(values: NDArray[np.floating]) -> bool:
    """Whether what is not finite is NaN that reaches the borders of the image, as some programs fill the background."""
    nan = np.isnan(values)
    if np.isinf(values).any() or values.ndim != 3 or nan.all():
        return False
    shown = sitk.GetImageFromArray((~nan).astype(np.uint8))
    return not (sitk.GetArrayFromImage(sitk.BinaryFillhole(shown)) > sitk.GetArrayFromImage(shown)).any()
