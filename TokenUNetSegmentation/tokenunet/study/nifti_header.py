"""Checks of a NIfTI file's header that ITK lacks: it replaces what is invalid by guesses without a warning."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from tokenunet.core.errors import UnreadableImageError, UnusableImageError

GZIP = b"\x1f\x8b"
"""First bytes of compressed files."""
_NAMES = ["magic", "vox_offset", "pixdim", "qform_code", "sform_code", "quatern", "qoffset", "srow"]
_LAYOUTS = {
    348: (["S4", "f4", "3f4", "i2", "i2", "3f4", "3f4", "12f4"], [344, 108, 80, 252, 254, 256, 268, 280]),
    540: (["S4", "i8", "3f8", "i4", "i4", "3f8", "3f8", "12f8"], [4, 168, 112, 344, 348, 352, 376, 400]),
}
"""Types and positions of `_NAMES` by the size of the header, of NIfTI-1 and NIfTI-2."""
_SINGLE_FILE = (b"n+1", b"n+2")


def check_nifti_header(path: Path, single_file: bool) -> None:
    """Check what ITK would replace by a guess.

    Args:
        path: NIfTI file, or the header of a pair; compressed or not.
        single_file: Whether it holds the voxels, too.

    Raises:
        UnreadableImageError: If the file is no NIfTI file, or its voxels begin inside of the header.
        UnusableImageError: If the size of the voxels or the placement is invalid.
    """
    start = _start(path)
    size = next((n for n in _LAYOUTS for order in ("little", "big") if start[:4] == n.to_bytes(4, order)), 0)
    if not size or len(start) < size:
        return  # ITK refuses it
    formats, offsets = _LAYOUTS[size]
    layout = np.dtype({"names": _NAMES, "formats": formats, "offsets": offsets, "itemsize": size})
    header = np.frombuffer(start, layout if start[0] else layout.newbyteorder(">"), count=1)[0]
    if single_file and header["magic"] not in _SINGLE_FILE:
        raise UnreadableImageError(f"{path} is not a NIfTI file, although it is named as one.", "Convert it again.")
    if single_file and not header["vox_offset"] >= size + 4:
        raise UnreadableImageError(
            f"{path} is damaged: its voxels begin inside of its header.", "Copy or export it again."
        )
    if not all(mm > 0 and np.isfinite(mm) for mm in header["pixdim"]):
        voxels = " x ".join(f"{mm:g}" for mm in header["pixdim"])
        raise UnusableImageError(
            f"{path} has voxels of {voxels} mm (pixdim in its header).", "Correct the header, or convert it again."
        )
    for form, values in (("qform", [*header["quatern"], *header["qoffset"]]), ("sform", header["srow"])):
        if header[f"{form}_code"] > 0 and not np.isfinite(values).all():
            raise UnusableImageError(
                f"{path} has a placement in space that holds NaN or Inf ({form} in its header).",
                "Correct the header, or convert it again.",
            )


def _start(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed; empty if they cannot be."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP
        with gzip.open(path) if compressed else path.open("rb") as file:
            return file.read(max(_LAYOUTS))
    except (EOFError, OSError, zlib.error):
        return b""
