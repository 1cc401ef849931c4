"""A segmented patient with what is measured in it, in LPS orientation."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import foreground
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.measurement import LesionDiameters, measure


@dataclass(frozen=True)
class MeasuredPatient:
    """Reference scan and tumor of a patient, both in LPS orientation.

    Attributes:
        scan: Reference scan, (z, y, x).
        regions: Regions (3, z, y, x) in the order of `REGIONS`.
        grid: Grid of both.
        lesions: Diameters of the lesions by measured region, those with the largest product first.
        unclaimed: Regions that the model does not tell without the scans that are missing.
        brain: Mask of the brain, (z, y, x); None if the scan is skull-stripped.
    """

    scan: NDArray[np.float32]
    regions: NDArray[np.bool_]
    grid: Grid
    lesions: dict[RegionName, list[LesionDiameters]]
    unclaimed: tuple[str, ...] = ()
    brain: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        scan: sitk.Image,
        regions: NDArray[np.bool_],
        unclaimed: Collection[str] = (),
        lesions: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        brain: NDArray[np.bool_] | None = None,
    ) -> "MeasuredPatient":
        """Return the patient of a scan and of the regions on its grid.

        Args:
            scan: Reference scan.
            regions: Regions (3, z, y, x) in the order of `REGIONS`.
            unclaimed: Regions that the model does not tell.
            lesions: Lesions of a run report, whose lines somebody may have moved; None measures them.
            brain: Mask of the brain on the scan's grid; None if the scan is skull-stripped.
        """
        grid = Grid.of(scan)
        turned = sitk.DICOMOrient(sitk.Cast(scan, sitk.sitkFloat32), "LPS")

        def turned_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
            return sitk.GetArrayFromImage(sitk.DICOMOrient(grid.image(mask.astype(np.uint8)), "LPS")) > 0

        if lesions is None:
            lesions = measure(regions, grid, unclaimed)["lesions"]
        return cls(
            sitk.GetArrayFromImage(turned),
            np.stack([turned_mask(region) for region in regions]),
            Grid.of(turned),
            {
                name: [LesionDiameters.from_json(entry) for entry in lesions[name]]
                for name in REGIONS
                if name in lesions
            },
            tuple(unclaimed),
            None if brain is None else turned_mask(brain),
        )

    @property
    def claimed(self) -> tuple[RegionName, ...]:
        """Regions that the model tells."""
        return tuple(name for name in REGIONS if name not in self.unclaimed)

    def region(self, name: RegionName) -> NDArray[np.bool_]:
        """Return the mask of a region, (z, y, x)."""
        return self.regions[REGIONS.index(name)]

    def volume_ml(self, name: RegionName) -> float:
        """Return the volume of a region in ml."""
        return float(np.count_nonzero(self.region(name))) * self.grid.voxel_ml

    @cached_property
    def grays(self) -> NDArray[np.float32]:
        """Scan from 0 (black) to 1 (white), between the 1st and 99th percentile of the head."""
        low, high = np.percentile(self.scan[self.head], (1, 99))
        return np.clip((self.scan - low) / max(float(high - low), 1e-6), 0, 1)

    @cached_property
    def head(self) -> NDArray[np.bool_]:
        """Mask of the brain, (z, y, x), or of all that a skull-stripped scan shows."""
        mask = foreground(self.scan) if self.brain is None else self.brain
        return mask if mask.any() else np.ones_like(mask)
