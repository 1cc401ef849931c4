"""A segmented patient with what is measured in it, in LPS orientation."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import foreground
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.measurement import LesionDiameters, lesion_diameters
from tokenunet.measurement.measure import MEASURED_REGIONS


@dataclass(frozen=True)
class MeasuredPatient:
    """Reference scan and tumor of a patient, both in LPS orientation.

    Attributes:
        scan: Reference scan, (z, y, x).
        regions: Regions (3, z, y, x) in the order of `REGIONS`.
        grid: Grid of both.
        unclaimed: Regions that the model does not tell without the scans that are missing.
    """

    scan: NDArray[np.float32]
    regions: NDArray[np.bool_]
    grid: Grid
    unclaimed: tuple[str, ...] = ()

    @classmethod
    def of(cls, scan: sitk.Image, regions: NDArray[np.bool_], unclaimed: Collection[str] = ()) -> "MeasuredPatient":
        """Return the patient of a scan and of the regions on its grid, (3, z, y, x)."""
        grid = Grid.of(scan)
        turned = sitk.DICOMOrient(sitk.Cast(scan, sitk.sitkFloat32), "LPS")
        masks = [sitk.DICOMOrient(grid.image(region.astype(np.uint8)), "LPS") for region in regions]
        return cls(
            sitk.GetArrayFromImage(turned),
            np.stack([sitk.GetArrayViewFromImage(mask) > 0 for mask in masks]),
            Grid.of(turned),
            tuple(unclaimed),
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
    def lesions(self) -> dict[RegionName, list[LesionDiameters]]:
        """Diameters of the lesions by measured region, those with the largest product first."""
        return {
            name: lesion_diameters(self.region(name), self.grid) for name in MEASURED_REGIONS if name in self.claimed
        }

    @cached_property
    def grays(self) -> NDArray[np.float32]:
        """Scan from 0 (black) to 1 (white), between the 1st and 99th percentile of the head."""
        low, high = np.percentile(self.scan[self.head], (1, 99))
        return np.clip((self.scan - low) / max(float(high - low), 1e-6), 0, 1)

    @cached_property
    def head(self) -> NDArray[np.bool_]:
        """Mask of everything but air, (z, y, x)."""
        mask = foreground(self.scan)
        return mask if mask.any() else np.ones_like(mask)
