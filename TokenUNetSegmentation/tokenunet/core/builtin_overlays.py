"""The overlays that the project brings: maps of TokenLearner, also sharper ones, and TokenFuser, and uncertainty."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay, OverlayGroup
from tokenunet.core.regions import REGION_TITLES, RegionName

TOKEN_LEARNER = OverlayGroup(
    "token_learner",
    "TokenLearner maps",
    "Each map is the weight with which every place of the brain enters one of the network's tokens: 5 times uniform "
    "means five times more than if all voxels counted equally. The maps have the resolution of the bottleneck. They "
    "describe, and do not explain; none belongs to a tissue, unless the model was trained to tie it to a region.",
)
SHARPER_MAPS = OverlayGroup(
    "token_learner_sharper",
    "TokenLearner maps, sharper",
    "Each TokenLearner map that the training tied to a region, in voxels half as wide, times 0 to 1: how far a "
    "probe of the stage above the bottleneck tells tumor from the rest of the brain there. They show better where the "
    "region is, but the network pools its tokens by the coarse maps.",
)
TOKEN_FUSER = OverlayGroup(
    "token_fuser",
    "TokenFuser maps",
    "Each map is the weight, of either sign, with which one mixed token is added back to every place.",
)
ENSEMBLE_UNCERTAINTY = OverlayGroup(
    "ensemble_uncertainty",
    "Ensemble uncertainty",
    "Standard deviation of the probability of whole tumor over the networks of an ensemble: 0 where all are of one "
    "opinion, 0.5 where half of them are sure of tumor and half of none.",
)

_UNIFORM = 1.0
"""Value of every voxel of a TokenLearner map if none counted more than another."""
_PEAK_PERCENTILE = 99.5  # single voxels at the image's border may be far higher than all others


def token_learner_overlay(
    number: int, array: NDArray[np.float32], grid: Grid, regions: Sequence[RegionName] = ()
) -> Overlay:
    """Return a TokenLearner map as an overlay.

    Args:
        number: Number of the map, from 1.
        array: How many times more than uniform every voxel counts, (d, h, w).
        grid: Grid of the map.
        regions: Regions to which the training tied the first maps, which their titles name.
    """
    high = max(_peak(array), _UNIFORM + 0.1)
    title = f"TokenLearner {number}"
    if number <= len(regions):
        title += f" ({REGION_TITLES[regions[number - 1]]})"
    return _attention_overlay(title, number, array, grid, TOKEN_LEARNER, (_UNIFORM, high), "times uniform")


def sharper_overlay(number: int, array: NDArray[np.float32], grid: Grid, region: RegionName) -> Overlay:
    """Return a sharper map as an overlay.

    Args:
        number: Number of the TokenLearner map, from 1.
        array: How many times more than uniform every voxel counts, times the readout, (2d, 2h, 2w).
        grid: Grid of the map.
        region: Region to which the training tied the map.
    """
    title = f"TokenLearner {number} ({REGION_TITLES[region]}), sharper"
    limits = (0.0, _peak(array) or 1.0)
    return _attention_overlay(title, number, array, grid, SHARPER_MAPS, limits, "times uniform, times readout")


def token_fuser_overlay(number: int, array: NDArray[np.float32], grid: Grid) -> Overlay:
    """Return a TokenFuser map as an overlay.

    Args:
        number: Number of the map, from 1.
        array: Weights of either sign, (d, h, w).
        grid: Grid of the map.
    """
    peak = _peak(array) or 1.0
    return _attention_overlay(f"TokenFuser {number}", number, array, grid, TOKEN_FUSER, (-peak, peak), "weight")


def uncertainty_overlay(array: NDArray[np.float32], grid: Grid) -> Overlay:
    """Return the uncertainty of an ensemble as an overlay.

    Args:
        array: Standard deviation of the probability of whole tumor, (D, H, W).
        grid: Grid of the map.
    """
    return Overlay(
        name=ENSEMBLE_UNCERTAINTY.name,
        title=ENSEMBLE_UNCERTAINTY.title,
        group=ENSEMBLE_UNCERTAINTY.name,
        unit="standard deviation",
        range=(0.0, 0.5),  # the same for all patients, so that they compare
        colormap="heat",
        array=array,
        grid=grid,
    )


def _attention_overlay(
    title: str,
    number: int,
    array: NDArray[np.float32],
    grid: Grid,
    group: OverlayGroup,
    limits: tuple[float, float],
    unit: str,
) -> Overlay:
    return Overlay(
        name=f"{group.name}_{number}",
        title=title,
        group=group.name,
        unit=unit,
        range=limits,
        colormap="signed" if limits[0] < 0 else "attention",
        array=array,
        grid=grid,
    )


def _peak(array: NDArray[np.float32]) -> float:
    return float(np.percentile(np.abs(array), _PEAK_PERCENTILE))
