from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tokenunet.core.grid import Grid

TILT = tuple(sitk.VersorTransform((0.3, 0.5, 0.8), 0.2).GetMatrix())
GRID = Grid((32, 24, 16), (1.0, 1.5, 2.0), (10.0, -20.0, 30.0), TILT)


def image() -> sitk.Image:
    return GRID.image(np.zeros(GRID.size[::-1], np.float32))


def test_a_grid_is_that_of_its_image() -> None:
    assert Grid.of(image()) == GRID


def test_indices_lie_where_simpleitk_puts_them() -> None:
    np.testing.assert_allclose((GRID.index_to_lps @ (3, 5, 7, 1))[:3], image().TransformIndexToPhysicalPoint((3, 5, 7)))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"origin": (10.0004, -20.0, 30.0)}, True),
        ({"origin": (10.2, -20.0, 30.0)}, False),
        ({"spacing": (1.0000001, 1.5, 2.0)}, True),
        ({"spacing": (1.01, 1.5, 2.0)}, False),  # a third of a voxel at the far corner
        ({"size": (32, 24, 17)}, False),
        ({"direction": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)}, False),
    ],
)
def test_grids_are_the_same_where_their_corners_are(change: dict, same: bool) -> None:
    assert GRID.same_as(replace(GRID, **change)) is same


def test_another_spacing_keeps_the_field_of_view() -> None:
    fine = GRID.with_spacing((0.5, 0.5, 0.5))
    assert fine.size == (64, 72, 64)
    for face in (-0.5, 0.5):
        corner = np.array(GRID.size) * (face + 0.5) - 0.5
        fine_corner = np.array(fine.size) * (face + 0.5) - 0.5
        np.testing.assert_allclose(GRID.index_to_lps @ (*corner, 1), fine.index_to_lps @ (*fine_corner, 1))


def test_pooled_voxels_lie_at_the_centers_of_what_they_pool() -> None:
    """Coordinates, averaged by the network's own kind of pooling, are the coarse grid's coordinates."""
    start, size = (4, 8, 0), (3, 2, 2)
    coarse = GRID.coarsened(8, start, size)
    indices = np.indices(GRID.size[::-1])[::-1].reshape(3, -1)
    points = (GRID.index_to_lps[:3, :3] @ indices + GRID.index_to_lps[:3, 3:]).reshape(3, *GRID.size[::-1])
    box = points[:, 0:16, 8:24, 4:28]
    pooled = torch.nn.functional.avg_pool3d(torch.from_numpy(box.copy()), 8).numpy()
    coarse_indices = np.indices(coarse.size[::-1])[::-1].reshape(3, -1)
    expected = coarse.index_to_lps[:3, :3] @ coarse_indices + coarse.index_to_lps[:3, 3:]
    np.testing.assert_allclose(pooled.reshape(3, -1), expected)
