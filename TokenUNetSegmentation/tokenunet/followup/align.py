"""Rigid alignment of time points, brain to brain, to the first one."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import SameStudyError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.followup.refine import Examination, refine
from tokenunet.followup.results import SegmentedTimePoint
from tokenunet.preprocessing.register import Alignment, Reference

_SURE = 0.47
"""Quality from which on an alignment needs no visual check.

Of synthetic scans with other contrasts, artifacts and tumors, nearly all pairs of one patient reached it, and none of
five pairs of two patients.
"""


@dataclass(frozen=True)
class AlignedTimePoint:
    """Time point on the grid of the first one.

    Attributes:
        segmented: Time point with its segmentation.
        alignment: Transform from the first time point's space to its own, and the quality; None for the first.
        scan: Reference scan on the grid of the first time point, float32 (D, H, W).
        regions: Regions WT, TC and ET there, (3, D, H, W).
        brain: Brain there, (D, H, W).
    """

    segmented: SegmentedTimePoint
    alignment: Alignment | None
    scan: NDArray[np.float32]
    regions: NDArray[np.bool_]
    brain: NDArray[np.bool_]


class FirstTimePoint:
    """Time point that all others are aligned to.

    Args:
        segmented: Time point with its segmentation.
    """

    def __init__(self, segmented: SegmentedTimePoint) -> None:
        self.segmented = segmented
        self._array = sitk.GetArrayFromImage(segmented.image)
        self._reference = Reference(segmented.image, _mask(segmented.brain, segmented.grid))

    @property
    def aligned(self) -> AlignedTimePoint:
        """The time point itself."""
        segmented = self.segmented
        return AlignedTimePoint(segmented, None, self._array, segmented.regions, segmented.brain)

    def align(self, other: SegmentedTimePoint) -> tuple[AlignedTimePoint, Finding | None]:
        """Align another time point.

        Args:
            other: Time point of the same patient.

        Returns:
            The time point on the grid of the first, and a warning if the alignment is not certain.

        Raises:
            SameStudyError: If both are the same examination.
        """
        first = self.segmented
        if np.array_equal(self._array, sitk.GetArrayViewFromImage(other.image)):
            raise SameStudyError(
                f"{first.point.name} and {other.point.name} are the same examination.", "Leave out one of them."
            )
        alignment = self._reference.align(other.image)
        refined = refine(alignment.transform, _examination(first), _examination(other))
        alignment = Alignment(refined, alignment.quality)
        finding = self._uncertain_alignment(other, alignment)
        grid = first.grid

        def here(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
            share = grid.resample(sitk.Cast(_mask(mask, other.grid), sitk.sitkFloat32), transform=alignment.transform)
            return sitk.GetArrayViewFromImage(share) > 0.5

        scan = sitk.GetArrayFromImage(grid.resample(other.image, transform=alignment.transform))
        regions = np.stack([here(region) for region in other.regions])
        aligned = AlignedTimePoint(other, alignment, scan, regions, here(other.brain))
        return aligned, finding

    def _uncertain_alignment(self, other: SegmentedTimePoint, alignment: Alignment) -> Finding | None:
        first = self.segmented.point.name
        if alignment.quality < _SURE:
            text = (
                f"{other.point.name} could not be aligned to {first} with confidence: they may be of two people. "
                "Changes may be wrong; look at the pictures in follow_up.html."
            )
            return Finding("poor_alignment", text)
        return None


def _examination(segmented: SegmentedTimePoint) -> Examination:
    scans = {segmented.sequence: segmented.image, **segmented.others}
    return Examination(segmented.sequence, scans, segmented.brain, segmented.regions[0])


def _mask(mask: NDArray[np.bool_], grid: Grid) -> sitk.Image:
    return grid.image(mask.astype(np.uint8))
