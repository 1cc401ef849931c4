"""What ITK's NIfTI reader passes over in silence: data cut off (read as 0) and NaN or Inf (read as 0, too)."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tokenunet.errors import UnreadableImageError, UnusableImageError

_FLOAT_TYPES = {"16": "f4", "64": "f8"}
"""NumPy's names of NIfTI's floating-point ``datatype`` codes."""

_GZIP = b"\x1f\x8b"


def check_nifti_data(path: Path, image: sitk.Image) -> None:
    """Looks at a NIfTI file's own bytes.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        image: the file as SimpleITK read it.

    Raises:
        UnreadableImageError: where data are missing, or the compressed stream is damaged.
        UnusableImageError: where a voxel is NaN or Inf.
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
        if not np.isfinite(stored).all():
            raise UnusableImageError(f"{path} holds values that are not numbers (NaN or Inf).", "Export it again.")
