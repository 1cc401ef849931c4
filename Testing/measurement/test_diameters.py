"""Diameters of ellipsoids, whose axes are known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tokenunet.core.grid import Grid
from tokenunet.measurement import lesion_diameters

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def ellipsoid(grid: Grid, center: NDArray, form: NDArray) -> NDArray[np.bool_]:
    """Return where (x - center) @ form @ (x - center) <= 1 on the grid, x in LPS mm."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), -1)
    x = index @ grid.index_to_lps[:3, :3].T + grid.index_to_lps[:3, 3] - center
    return (np.einsum("...i,ij,...j->...", x, form, x) <= 1).transpose(2, 1, 0)


def random_form(random: np.random.Generator) -> NDArray:
    axes = Rotation.random(random_state=int(random.integers(2**31))).as_matrix()
    return axes @ np.diag(random.uniform(8, 25, 3) ** -2.0) @ axes.T


def central_slice_axes(form: NDArray) -> NDArray:
    """Return both axis lengths of the ellipse that an axial slice through the center cuts out, the longer one first."""
    return 2 / np.sqrt(np.linalg.eigvalsh(form[:2, :2]))


@pytest.mark.parametrize("seed", range(50))
def test_diameters_are_within_a_voxel_of_an_ellipsoids_axes(seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = Grid((64, 64, 60), (1.0, 1.0, 1.0), tuple(random.uniform(-40, -30, 3)), IDENTITY)
    form = random_form(random)
    (lesion,) = lesion_diameters(ellipsoid(grid, random.uniform(-5, 0, 3), form), grid)
    longest, perpendicular = central_slice_axes(form)
    assert lesion.longest.length_mm == pytest.approx(longest, abs=1)
    assert lesion.perpendicular.length_mm == pytest.approx(perpendicular, abs=1)


@pytest.mark.parametrize(
    ("direction", "spacing", "size"),
    [
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), (0.5, 0.5, 3.0), (120, 120, 24)),
        ((0, 0, 1, 1, 0, 0, 0, -1, 0), (0.9, 1.0, 2.0), (70, 64, 36)),  # sagittal slices: axial is the grid's y
        ((1, 0, 0, 0, 0, 1, 0, -1, 0), (1.0, 1.2, 1.5), (64, 64, 48)),  # coronal ones
    ],
)
def test_diameters_are_measured_in_axial_slices_of_any_grid(
    direction: tuple[float, ...], spacing: tuple[float, float, float], size: tuple[int, int, int]
) -> None:
    middle = np.reshape(direction, (3, 3)) @ ((np.array(size) - 1) / 2 * spacing)
    grid = Grid(size, spacing, tuple(-middle), tuple(map(float, direction)))
    form = np.diag(np.array((20.0, 9.0, 22.0)) ** -2)
    (lesion,) = lesion_diameters(ellipsoid(grid, np.zeros(3), form), grid)
    assert lesion.longest.length_mm == pytest.approx(40, abs=max(spacing))
    assert lesion.perpendicular.length_mm == pytest.approx(18, abs=max(spacing))
    for line in (lesion.longest, lesion.perpendicular):
        assert line.start[2] == pytest.approx(line.end[2])  # along the patient's height
    along = np.subtract(lesion.longest.end, lesion.longest.start)
    assert along @ np.subtract(lesion.perpendicular.end, lesion.perpendicular.start) == pytest.approx(0, abs=1e-6)
    assert abs(along[0]) > 0.95 * np.linalg.norm(along)


def test_lesions_are_told_apart_and_small_ones_are_not_measurable() -> None:
    grid = Grid((80, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    ball = np.eye(3)
    mask = ellipsoid(grid, np.array((20, 20, 20)), ball / 12.4**2) | ellipsoid(
        grid, np.array((60, 20, 20)), ball / 4.3**2
    )
    mask[0, 0, 0] = True  # a speck, which is no lesion
    large, small = lesion_diameters(mask, grid)
    assert (large.is_measurable, small.is_measurable) == (True, False)
    assert large.longest.length_mm == pytest.approx(24.8, abs=1)
    assert small.volume_ml == pytest.approx(4 / 3 * np.pi * 4.3**3 / 1000, rel=0.1)


def test_a_rim_is_measured_across_what_it_encloses() -> None:
    grid = Grid((60, 60, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    center = np.full(3, 30.0)
    rim = ellipsoid(grid, center, np.eye(3) / 20**2) & ~ellipsoid(grid, center, np.eye(3) / 17**2)
    assert lesion_diameters(rim, grid)[0].longest.length_mm == pytest.approx(40, abs=1)


def test_an_empty_mask_has_no_lesions() -> None:
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    assert lesion_diameters(np.zeros((4, 4, 4), bool), grid) == []
