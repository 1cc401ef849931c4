"""Made-up scans that are quick to make, and the real patient where it is at hand."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.scans import Scan, Study
from tokenunet.synthesis import synthetic_patient
from tokenunet.synthesis.writing import in_field_of_view

SPACING = (3.0, 3.0, 3.0)
GRID = Grid((46, 54, 50), SPACING, (-60.0, -70.0, -50.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))

REAL_PATIENT = Path(__file__).resolve().parents[2] / "shared" / "data" / "TCGA-FG-6692"

needs_real_patient = pytest.mark.skipif(
    not REAL_PATIENT.is_dir(), reason="the real patient lies beside the project on development machines only"
)

_TISSUE_INTENSITIES: dict[SequenceName, tuple[float, ...]] = {
    # fluid, gray matter, white matter, edema, enhancing tumor
    "T1": (280, 580, 820, 500, 520),
    "T1ce": (280, 580, 820, 500, 1500),
    "T2": (950, 520, 360, 720, 650),
    "FLAIR": (150, 580, 480, 900, 800),
}


def brain() -> NDArray[np.bool_]:
    """An ellipsoid of about a litre on `GRID`, not symmetric in any direction."""
    z, y, x = np.indices(GRID.size[::-1])
    return ((z - 23) / 19) ** 2 + ((y - 28) / 22) ** 2 + ((x - 21) / 17) ** 2 < 1


def tissues(seed: int = 0) -> NDArray[np.intp]:
    """Indices into fluid, gray matter, white matter, edema and enhancing tumor, in smooth patches."""
    noise = np.random.default_rng(seed).normal(size=GRID.size[::-1])
    noise = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), 2.0))
    classes = np.digitize(noise, np.quantile(noise, [0.15, 0.6]))
    z, y, x = np.indices(GRID.size[::-1])
    distance = np.sqrt((z - 28) ** 2 + (y - 34) ** 2 + (x - 26) ** 2)
    classes[distance < 8] = 3
    classes[distance < 5] = 4
    return classes


def study(grid: Grid = GRID, seed: int = 0) -> Study:
    """Four skull-stripped scans on one grid of the size of `GRID`."""
    generator = np.random.default_rng(seed)
    classes, inside = tissues(seed), brain()
    scans: dict[SequenceName, Scan] = {}
    for sequence, intensities in _TISSUE_INTENSITIES.items():
        values = np.array(intensities)[classes] + generator.normal(0, 30, classes.shape)
        scans[sequence] = Scan(grid.image((values * inside).astype(np.float32)), f"{sequence.lower()}.nii.gz", "")
    return Study(scans)


def write_study(folder: Path, scans: Study | None = None) -> dict[SequenceName, Path]:
    """Writes the scans as ``patient_t1.nii.gz`` and so on."""
    paths: dict[SequenceName, Path] = {}
    for sequence, scan in (scans or study()).scans.items():
        paths[sequence] = folder / f"patient_{sequence.lower()}.nii.gz"
        sitk.WriteImage(sitk.Cast(scan.image, sitk.sitkInt16), paths[sequence])
    return paths


def synthetic_images(seed: int = 1, spacing: float = 4.0) -> dict[SequenceName, sitk.Image]:
    """Four images of a synthetic patient on one grid; at 4 mm it takes a fraction of a second."""
    patient = synthetic_patient(seed, spacing=spacing)
    return {s: in_field_of_view(patient, patient.images[s]) for s in SEQUENCES}


def blobs(grid: Grid) -> NDArray[np.float32]:
    """Probabilities (3, z, y, x) of nested, asymmetric balls in the middle of a grid."""
    indices = np.indices(grid.size[::-1]).reshape(3, -1)[::-1]
    matrix = grid.index_to_lps
    points = matrix[:3, :3] @ indices + matrix[:3, 3:]
    center = matrix[:3, :3] @ (np.array(grid.size)[:, None] / 2.3) + matrix[:3, 3:]
    distance = np.linalg.norm((points - center) / np.array([[1.0], [1.3], [0.8]]), axis=0).reshape(grid.size[::-1])
    return np.stack([1 / (1 + np.exp(distance - radius)) for radius in (16, 11, 6)]).astype(np.float32)
