"""Pixels of DICOM files, rescaled as the files say."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.image_files import READING


def read_slices(files: Sequence[Path]) -> NDArray[np.float32]:
    """Return the values of slices, (z, y, x), each rescaled by its own file's slope.

    Args:
        files: Files in the order of the slices; a single one may hold several.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
    """
    names = [str(file) for file in files]
    try:
        # Without a float type, values outside of the first slice's integer type would be clipped.
        with READING:
            image = sitk.ReadImage(names if len(names) > 1 else names[0], sitk.sitkFloat32, "GDCMImageIO")
    except RuntimeError as error:
        if len(files) > 1:
            for file in files:
                read_slices([file])  # raises the error for the damaged file
        raise UnreadableImageError(f"{names[0]} is missing or damaged.", "Copy or export the study again.") from error
    return sitk.GetArrayFromImage(image)


def read_frames(file: Path, rescales: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Return the values of a file's frames, (frames, y, x), of which SimpleITK would rescale all alike.

    Args:
        file: File of many frames.
        rescales: Slope and intercept of each frame.

    Raises:
        UnreadableImageError: If the file is missing or damaged, or compressed so that pydicom cannot read it.
    """
    from pydicom import dcmread

    try:
        stored = dcmread(file).pixel_array
        slopes, intercepts = np.array(rescales, np.float32).T[:, :, None, None]
        return stored * slopes + intercepts
    # pydicom passes on whatever its decoders raise.
    except Exception as error:
        raise UnreadableImageError(
            f"The frames of {file} are rescaled differently, and cannot be read: {error}".rstrip(".") + ".",
            "Copy it again, or export it uncompressed.",
        ) from error
