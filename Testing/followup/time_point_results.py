"""Results of one patient at several time points: scans of 4 mm, labels drawn as spheres, no network."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tokenunet.core.grid import Grid
from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.synthesis import Kind, synthetic_patient
from tokenunet.synthesis.writing import in_field_of_view

Place = tuple[int, int, int]


@cache
def brain_scan(seed: int = 5) -> sitk.Image:
    """T1ce of a healthy brain, which registers within a second."""
    patient = synthetic_patient(seed, spacing=4.0, kind=Kind.HEALTHY)
    return sitk.Cast(in_field_of_view(patient, patient.images["T1ce"]), sitk.sitkFloat32)


def ball(grid: Grid, center: Place, radius: float) -> np.ndarray:
    z, y, x = np.ogrid[tuple(slice(n) for n in grid.size[::-1])]
    return (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 <= radius**2


def tumor_labels(grid: Grid, radius: float, center: Place = (15, 30, 22)) -> np.ndarray:
    """Edema around an enhancing ball with a necrotic center."""
    labels = np.zeros(grid.size[::-1], np.uint8)
    for share, label in ((1.5, ED), (1.0, ET_LABEL), (0.5, NCR)):
        labels[ball(grid, center, share * radius)] = label
    return labels


def write_result_folder(
    folder: Path,
    radius: float = 4,
    *,
    labels: np.ndarray | None = None,
    motion: sitk.Transform | None = None,
    scan: sitk.Image | None = None,
) -> Path:
    """Write the result of one time point, of a patient who moved.

    Args:
        folder: Folder to create.
        radius: Radius of the enhancing ball in voxels.
        labels: Labels instead of a tumor of that radius.
        motion: Motion from the places of other time points to those of this one.
        scan: Scan instead of that of `brain_scan`.
    """
    scan = brain_scan() if scan is None else scan
    grid = Grid.of(scan)
    image = grid.image(tumor_labels(grid, radius) if labels is None else labels)
    if motion is not None:
        image = grid.resample(image, sitk.sitkNearestNeighbor, motion.GetInverse())
        scan = grid.resample(scan, transform=motion.GetInverse())
    folder.mkdir(parents=True)
    sitk.WriteImage(scan, folder / "t1ce.nii.gz")
    sitk.WriteImage(image, folder / "labels.nii.gz")
    report = {"reference": "T1ce", "inputs": {"T1ce": {"path": str(folder / "t1ce.nii.gz")}}}
    (folder / "run.json").write_text(json.dumps(report))
    return folder
