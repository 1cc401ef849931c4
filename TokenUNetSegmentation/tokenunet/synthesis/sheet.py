"""Contact sheet of patients, on which a person can judge how real they look.

Patients are stacked from top to bottom, each with an axial, a coronal and a sagittal slice through the largest
section of its tumor, or of its brain if there is no tumor. From left to right are the four sequences in the order of
`SEQUENCES`, then T1ce and FLAIR with the outlines of the ground truth.
"""

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.regions import regions_from_labels
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.io.files import write_bytes

WINDOW = (-2.5, 3.5)
"""Black and white level of all sequences, in standard deviations from the brain's mean, as a network receives them."""
OUTLINED: tuple[SequenceName, ...] = ("T1ce", "FLAIR")
COLORS = ((60, 220, 90), (70, 150, 255), (255, 70, 60))
"""RGB colors of the outlines of WT, TC and ET."""

Rgb = NDArray[np.uint8]


def contact_sheet(patients: list[tuple[dict[SequenceName, NDArray[np.float32]], NDArray[np.uint8]]]) -> Rgb:
    """Draw a contact sheet.

    Args:
        patients: Images by sequence and labels of each patient, all of one shape (D, H, W) and oriented LPS.

    Returns:
        RGB image, uint8 (rows, columns, 3).

    Raises:
        ValueError: If there is no patient.
    """
    if not patients:
        raise ValueError("A contact sheet needs at least one patient.")
    return np.concatenate([_patient(images, labels) for images, labels in patients])


def write_sheet(sheet: Rgb, path: Path) -> None:
    """Write a sheet as PNG, whatever the extension of the file.

    Args:
        sheet: RGB image from `contact_sheet`.
        path: File to write.

    Raises:
        OutputError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "sheet.png"
        sitk.WriteImage(sitk.GetImageFromArray(sheet, isVector=True), str(drawn), useCompression=True)
        write_bytes(path, drawn.read_bytes())


def _patient(images: dict[SequenceName, NDArray[np.float32]], labels: NDArray[np.uint8]) -> Rgb:
    gray = {name: _windowed(image) for name, image in images.items()}
    regions = regions_from_labels(labels)
    rows = []
    for axis, index in enumerate(_center(labels, images["T1"] != 0)):
        outlines = [_outline(_cut(region, axis, index)) for region in regions]
        panels = [_colored(_cut(gray[name], axis, index), []) for name in SEQUENCES]
        panels += [_colored(_cut(gray[name], axis, index), outlines) for name in OUTLINED]
        rows.append(np.concatenate([_widened(panel, max(labels.shape[1:])) for panel in panels], axis=1))
    return np.concatenate(rows)


def _windowed(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    brain = image != 0
    if not brain.any():
        return np.zeros(image.shape, np.uint8)
    z = (image - image[brain].mean()) / max(float(image[brain].std()), 1e-6)
    low, high = WINDOW
    return (np.clip((z - low) / (high - low), 0, 1) * 255 * brain).astype(np.uint8)


def _center(labels: NDArray[np.uint8], brain: NDArray[np.bool_]) -> list[int]:
    """Return the slice of each axis with the most tumor, or with the most brain if there is no tumor."""
    shown = labels > 0 if labels.any() else brain
    return [int(shown.sum(tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)]


def _cut(volume: NDArray, axis: int, index: int) -> NDArray:
    """Return a slice as it is displayed, with the front or the top up."""
    cut = volume.take(index, axis)
    return cut if axis == 0 else cut[::-1]


def _outline(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a region that have a neighbor outside."""
    padded = np.pad(region, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return region & ~inside


def _colored(gray: NDArray[np.uint8], outlines: list[NDArray[np.bool_]]) -> Rgb:
    panel = np.repeat(gray[..., None], 3, axis=2)
    for outline, color in zip(outlines, COLORS, strict=False):
        panel[outline] = color
    return panel


def _widened(panel: Rgb, width: int) -> Rgb:
    spare = width - panel.shape[1]
    return np.pad(panel, ((0, 0), (spare // 2, spare - spare // 2), (0, 0)))
