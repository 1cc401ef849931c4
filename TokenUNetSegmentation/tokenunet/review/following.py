"""Which attention masks tell tumor from the rest of the brain, measured and not assumed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.prediction import AttentionMaps

LEAST_SEPARATION = 0.985
"""Of a mask that follows tumor; those of 0.97 listed twice as many places without tumor in synthetic patients."""
LEAST_VOXELS = 4
"""Voxels of a mask that must lie in the tumor (8 ml at 12.8 mm); on fewer, nothing is measured."""


@dataclass(frozen=True)
class MapLevels:
    """A mask's values in tumor and in the rest of the brain.

    Attributes:
        kind: ``token_learner`` or ``token_fuser``.
        number: of the mask, from 1.
        outside: median in the brain away from tumor.
        inside: median in tumor.
        separation: how probable it is that a place in tumor has a higher value than a place away from it (area under
            the ROC curve). TokenFuser masks may carry either sign, which the layer after them can turn round
            (equation 4), so that lower counts for them as higher does.
    """

    kind: str
    number: int
    outside: float
    inside: float
    separation: float

    @property
    def name(self) -> str:
        """For people, such as ``TokenFuser 3``."""
        part = "".join(word.capitalize() for word in self.kind.split("_"))
        return f"{part} {self.number}"


def tumor_following(
    masks: AttentionMaps, tumor: NDArray[np.bool_], elsewhere: NDArray[np.bool_]
) -> tuple[MapLevels, ...] | None:
    """The masks that are measurably higher in tumor than elsewhere in the brain.

    Args:
        masks: of one patient.
        tumor: (d, h, w), where on the masks' grid tumor is.
        elsewhere: (d, h, w), where on it brain without tumor is.

    Returns:
        Those with a separation of at least `LEAST_SEPARATION`; None where there is too little of either to measure it.
    """
    if min(tumor.sum(), elsewhere.sum()) < LEAST_VOXELS:
        return None
    levels = []
    for kind, stack in masks.by_kind().items():
        for number, mask in enumerate(stack, start=1):
            inside, outside = mask[tumor], mask[elsewhere]
            separation = _probability_of_higher(inside, outside)
            if kind == "token_fuser":
                separation = max(separation, 1 - separation)
            if separation >= LEAST_SEPARATION:
                low, high = float(np.median(outside)), float(np.median(inside))
                levels.append(MapLevels(kind, number, low, high, separation))
    return tuple(levels)


def likeness(masks: AttentionMaps, levels: MapLevels) -> NDArray[np.float32]:
    """One mask (d, h, w) on the scale from 0, its median elsewhere, to 1, its median in tumor."""
    mask = masks.by_kind()[levels.kind][levels.number - 1]
    return ((mask - levels.outside) / (levels.inside - levels.outside)).astype(np.float32)


def levels_from_notes(notes: Any) -> tuple[MapLevels, ...]:
    """What a model or a run report notes about its masks; nothing where the note is not of the known form."""
    try:
        return tuple(MapLevels(**note) for note in notes)
    except TypeError:
        return ()


def _probability_of_higher(values: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """That a random one of ``values`` is higher than a random one of ``others``; equal ones count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return float(below.mean() / 2 / len(others))
