"""Small images and patients for tests, and the real patient where it is at hand."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.grid import Grid
from tokenunet.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis import synthetic_patient
from tokenunet.synthesis.writing import in_field_of_view

REAL_PATIENT = Path(__file__).resolve().parents[2] / "shared" / "data" / "TCGA-FG-6692"

needs_real_patient = pytest.mark.skipif(
    not REAL_PATIENT.is_dir(), reason="the real patient lies beside the project on development machines only"
)


def synthetic_images(seed: int = 1, spacing: float = 4.0) -> dict[SequenceName, sitk.Image]:
    """Four images of a synthetic patient on one grid; at 4 mm it takes a fraction of a second."""
    patient = synthetic_patient(seed, spacing=spacing)
    return {s: in_field_of_view(patient, patient.images[s]) for s in SEQUENCES}


def write_images(images: dict[SequenceName, sitk.Image], folder: Path, ending: str = ".nii.gz") -> dict:
    """Writes ``folder/patient_<sequence><ending>``; returns the paths by sequence."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {s: folder / f"patient_{s.lower()}{ending}" for s in images}
    for sequence, path in paths.items():
        sitk.WriteImage(images[sequence], path)
    return paths


def blobs(grid: Grid) -> NDArray[np.float32]:
    """Probabilities (3, z, y, x) of nested, asymmetric balls in the middle of a grid."""
    indices = np.indices(grid.size[::-1]).reshape(3, -1)[::-1]
    matrix = grid.index_to_lps
    points = matrix[:3, :3] @ indices + matrix[:3, 3:]
    centre = matrix[:3, :3] @ (np.array(grid.size)[:, None] / 2.3) + matrix[:3, 3:]
    distance = np.linalg.norm((points - centre) / np.array([[1.0], [1.3], [0.8]]), axis=0).reshape(grid.size[::-1])
    return np.stack([1 / (1 + np.exp(distance - radius)) for radius in (16, 11, 6)]).astype(np.float32)
