"""Synthetic patients look like real ones, in figures."""

import numpy as np
import pytest
import torch
from tokenunet.core.sequences import SEQUENCES
from tokenunet.preprocessing.prepare import normalize
from tokenunet.synthesis import Kind, SyntheticPatient, synthetic_patient
from tokenunet.synthesis.appearance import appearance

SPACING = 4.0
# What depends on fine voxels (tails, correlation of slices) is left out.
# Lowest value, median and highest value of 15 real patients (BraTS 2021, CC BY 4.0), as z-scores.
REAL = {
    "WM_T1": (0.49, 0.70, 1.13),
    "WM_T2": (-0.74, -0.51, 0.19),
    "ED-WM_T1": (-1.07, -0.64, 0.09),
    "ED-WM_T1ce": (-1.22, -0.31, 0.33),
    "ED-WM_T2": (0.52, 1.19, 2.34),
    "ED-WM_FLAIR": (1.10, 1.57, 2.74),
    "NCR-WM_T1": (-2.08, -0.80, 0.09),
    "NCR-WM_T2": (0.96, 1.91, 3.54),
    "NCR-WM_FLAIR": (0.19, 2.17, 3.50),
    "NCR-ED_T1": (-1.57, -0.26, 0.12),
    "NCR-ED_T1ce": (-2.06, -0.38, 0.65),
    "NCR-ED_T2": (-0.04, 0.93, 2.10),
    "NCR-ED_FLAIR": (-1.03, 0.59, 1.36),
    "ET-ED_T1": (-0.40, 0.09, 1.37),
    "ET-ED_T1ce": (1.20, 2.12, 3.31),
    "ET-ED_T2": (-0.27, 0.53, 1.29),
    "ET-ED_FLAIR": (-0.02, 0.46, 1.62),
    "ED_T1ce_sd": (0.33, 0.60, 0.74),
    "NCR_FLAIR_sd": (0.35, 0.61, 1.92),
    "TC/WT": (0.02, 0.40, 0.96),
}


def normalized(patient: SyntheticPatient) -> np.ndarray:
    brain = np.logical_or.reduce([image != 0 for image in patient.images.values()])
    return torch.stack([normalize(patient.images[name], brain, name) for name in SEQUENCES]).numpy()


@pytest.fixture(scope="module")
def figures() -> dict[str, np.ndarray]:
    rows = []
    for seed in range(500, 524):
        patient = synthetic_patient(seed, SPACING, kind=(Kind.RING, Kind.NODULAR, Kind.NON_ENHANCING)[seed % 3])
        rows.append(appearance(normalized(patient), patient.labels, SPACING))
    return {name: np.array([row[name] for row in rows if name in row]) for name in REAL}


@pytest.mark.parametrize("name", REAL)
def test_appearance_matches_real_patients(figures, name):
    """The middle of each row lies inside the other's range, and most real values inside the generator's."""
    lowest, middle, highest = REAL[name]
    low, median, high = np.percentile(figures[name], (5, 50, 95))
    assert lowest <= median <= highest
    assert low <= middle <= high
    assert abs(median - middle) < 0.4 * (highest - lowest)
