"""Skull-stripped scans of one grid that show the brain in another place are found, others are not."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.preprocessing.placement import scans_out_of_place
from tokenunet.synthesis import synthetic_patient

SEED = 7 * 10**9


@pytest.fixture(scope="module")
def images() -> dict[SequenceName, sitk.Image]:
    return {s: scan.image for s, scan in synthetic_study(synthetic_patient(SEED, 2.0))[0].scans.items()}


@pytest.fixture(
    scope="module", params=[(2.0, 2.0, 2.0), (1.0, 1.0, 6.0), (5.0, 2.0, 2.0)], ids=["cubes", "axial", "sagittal"]
)
def scans(images: dict[SequenceName, sitk.Image], request: pytest.FixtureRequest) -> dict[SequenceName, sitk.Image]:
    grid = Grid.of(images["T1ce"]).with_spacing(request.param)
    return {s: grid.resample(image) for s, image in images.items()}


def test_scans_out_of_place_leaves_aligned_scans(scans: dict[SequenceName, sitk.Image]) -> None:
    assert scans_out_of_place(scans["T2"], scans) == []


@pytest.mark.parametrize(
    ("sequence", "shift_mm", "turn_degrees"),
    [
        ("T1", (6, 0, 0), 0),
        ("T2", (3, 4, -5), 0),
        ("FLAIR", (0, -20, 10), 0),
        ("T1", (0, 0, 0), 7),
        ("T2", (4, -4, 0), -15),
    ],
)
def test_scans_out_of_place_finds_a_moved_scan(
    scans: dict[SequenceName, sitk.Image],
    sequence: SequenceName,
    shift_mm: tuple[float, float, float],
    turn_degrees: float,
) -> None:
    image = scans[sequence]
    center = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    motion = sitk.Euler3DTransform(center, 0, 0, math.radians(turn_degrees), [float(mm) for mm in shift_mm])
    moved = sitk.Resample(image, image, motion)
    assert scans_out_of_place(scans["T1ce"], scans | {sequence: moved}) == [sequence]


def test_scans_out_of_place_takes_constant_scans(images: dict[SequenceName, sitk.Image]) -> None:
    flat = Grid.of(images["T1ce"]).image(np.ones(images["T1ce"].GetSize()[::-1], np.float32))
    assert scans_out_of_place(images["T1ce"], {"T2": flat}) == []
