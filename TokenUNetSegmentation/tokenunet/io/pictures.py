"""Slices of scans with outlines, as PNG pictures for pages."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.io.page import data_url


def grays(scan: NDArray) -> NDArray[np.float32]:
    """Return a scan (z, y, x) as RGB (z, y, x, 3) from 0 to 1."""
    array = scan.astype(np.float32)
    low, high = np.percentile(array[array != array.min()] if np.ptp(array) else array, (1, 99))
    gray = np.clip((array - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat(gray[..., None], 3, axis=-1)


def contoured(
    rgb: NDArray[np.float32], mask: NDArray[np.bool_], color: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Draw the outline of a mask.

    Args:
        rgb: Pictures, (z, y, x, 3).
        mask: Mask, (z, y, x).
        color: Red, green and blue from 0 to 1.
    """
    inside = mask.astype(np.uint8)
    outline = sitk.GetArrayFromImage(sitk.LabelContour(sitk.GetImageFromArray(inside))) > 0
    return np.where(outline[..., None], np.asarray(color, np.float32), rgb)


def png_url(plane: NDArray[np.float32]) -> str:
    """Return a picture (rows, columns, 3) of values from 0 to 1 as the data URL of a PNG."""
    return data_url(png(plane), "image/png")


def png(plane: NDArray[np.float32]) -> bytes:
    """Return a picture (rows, columns, 3) of values from 0 to 1 as the content of a PNG file."""
    image = sitk.GetImageFromArray((255 * plane).round().astype(np.uint8), isVector=True)
    with TemporaryDirectory() as folder:  # SimpleITK writes files only
        path = Path(folder) / "picture.png"
        sitk.WriteImage(image, path)
        return path.read_bytes()
