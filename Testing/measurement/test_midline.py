"""Side, midline shift and contact with the ventricles in a made-up brain whose ventricles were moved by a known way."""

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.core.grid import Grid
from tokenunet.measurement.midline import find_midplane, locate

SIZE, SPACING = (76, 90, 70), (2.0, 2.0, 2.0)


def brain_grid(turn: float = 0.0) -> Grid:
    """Grid whose center is 0, turned about the patient's long axis."""
    direction = tuple(map(float, sitk.Euler3DTransform((0, 0, 0), 0.0, 0.0, turn).GetMatrix()))
    origin = -np.reshape(direction, (3, 3)) @ ((np.array(SIZE) - 1) / 2 * SPACING)
    return Grid(SIZE, SPACING, tuple(origin.tolist()), direction)


def ball(x: NDArray, center: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.bool_]:
    return (((x - np.array(center)) / radii) ** 2).sum(-1) < 1


def made_up_brain(shift: float = 0.0, tumor_x: float = 35.0, bright: bool = False) -> tuple[NDArray, ...]:
    """Scan, brain and tumor; two ventricles whose middle is at `shift` mm, and a ball of 12 mm at `tumor_x` mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij"), -1).transpose(2, 1, 0, 3)
    x = (index - (np.array(SIZE) - 1) / 2) * SPACING
    brain = ball(x, (0, 0, 0), (65, 80, 60))
    white = ball(x, (0, 0, 0), (50, 62, 45))
    fluid = ball(x, (shift - 9, 5, 8), (7, 25, 8)) | ball(x, (shift + 9, 5, 8), (7, 25, 8))
    fluid |= ball(x, (shift, 0, 4), (4, 14, 8))
    tumor = ball(x, (tumor_x, 0, 8), (12, 12, 12))
    scan = np.where(brain, 580.0, 0.0) + 240 * white
    scan[fluid] = 1500 if bright else 250
    scan[tumor] = 1300
    noise = np.random.default_rng(0).normal(0, 25, scan.shape)
    return (np.where(brain, scan + noise, 0).astype(np.float32), brain, tumor & brain)


@pytest.mark.parametrize(("shift", "turn"), [(-8.0, 0.12), (0.0, 0.12), (5.0, 0.0)])
def test_midline_shift_is_that_of_the_ventricles(shift: float, turn: float) -> None:
    scan, brain, tumor = made_up_brain(shift)
    location = locate(scan, brain, {"WT": tumor}, brain_grid(turn), "dark")
    assert location is not None
    assert location.shift_mm == pytest.approx(shift, abs=1)


def test_midplane_follows_the_head() -> None:
    scan, brain, tumor = made_up_brain(-6.0)
    plane = find_midplane(scan, brain, tumor, brain_grid(0.12))
    expected = np.array((np.cos(0.12), np.sin(0.12), 0))
    assert np.degrees(np.arccos(plane.normal @ expected)) < 1
    assert abs(plane.distance_mm(np.zeros((1, 3)))[0]) < 1


@pytest.mark.parametrize(
    ("tumor_x", "side", "across"), [(35, "left", 0), (-35, "right", 0), (8, "both, mostly left", 4)]
)
def test_side_and_extent_over_the_midplane(tumor_x: float, side: str, across: float) -> None:
    scan, brain, tumor = made_up_brain(tumor_x=tumor_x)
    location = locate(scan, brain, {"WT": tumor}, brain_grid(), None)
    assert location is not None
    assert (location.side, location.shift_mm) == (side, None)
    assert location.across_mm == pytest.approx(across, abs=1.5)


def test_distance_to_the_ventricles_is_zero_at_contact() -> None:
    for tumor_x, expected in ((26, 0), (35, 7)):
        scan, brain, tumor = made_up_brain(tumor_x=tumor_x, bright=True)
        location = locate(scan, brain, {"WT": tumor}, brain_grid(), "bright")
        assert location is not None
        assert location.ventricle_mm["WT"] == pytest.approx(expected, abs=2)


def test_location_needs_a_tumor() -> None:
    scan, brain, tumor = made_up_brain()
    assert locate(scan, brain, {"WT": tumor & False}, brain_grid(), "dark") is None
