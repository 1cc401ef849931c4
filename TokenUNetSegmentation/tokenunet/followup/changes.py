"""Changes of volumes and lesions between time points."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.followup.align import AlignedTimePoint
from tokenunet.followup.lesions import Lesion, LesionMasks, match_lesions
from tokenunet.followup.uncertainty import Repeatability

LESIONS: dict[RegionName, RegionName] = {"ET": "TC", "WT": "WT"}
"""Regions whose lesions are matched, and the region that is a lesion's extent."""


@dataclass(frozen=True)
class VolumeChange:
    """Change of a region's volume between two time points.

    Attributes:
        region: Name of the region.
        earlier: Name of the earlier time point.
        later: Name of the later time point.
        before_ml: Earlier volume in ml.
        after_ml: Later volume in ml.
        uncertainty_ml: Error that 95 % of measured changes stay below, in ml.
    """

    region: RegionName
    earlier: str
    later: str
    before_ml: float
    after_ml: float
    uncertainty_ml: float

    @property
    def difference_ml(self) -> float:
        """Later volume less the earlier one, in ml."""
        return self.after_ml - self.before_ml

    @property
    def percent(self) -> float | None:
        """Difference in percent of the earlier volume; None if that is 0."""
        return 100 * self.difference_ml / self.before_ml if self.before_ml else None

    @property
    def is_within_uncertainty(self) -> bool:
        """Whether the difference may be one of the measurement."""
        return abs(self.difference_ml) <= self.uncertainty_ml

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the report."""
        return {
            "region": self.region,
            "earlier": self.earlier,
            "later": self.later,
            "before_ml": round(self.before_ml, 3),
            "after_ml": round(self.after_ml, 3),
            "difference_ml": round(self.difference_ml, 3),
            "percent": None if self.percent is None else round(self.percent, 1),
            "uncertainty_ml": round(self.uncertainty_ml, 3),
            "within_uncertainty": self.is_within_uncertainty,
        }


def volume_changes(
    volumes_ml: Mapping[str, Mapping[str, float]], repeatability: Repeatability
) -> Iterator[VolumeChange]:
    """Yield the changes from each time point to the next, and from the first to the last.

    Args:
        volumes_ml: Volumes in ml by region and name of the time point, in the order of time.
        repeatability: Random error of the volumes.
    """
    names = list(volumes_ml)
    pairs = list(pairwise(names))
    if len(names) > 2:
        pairs.append((names[0], names[-1]))
    for earlier, later in pairs:
        before, after = volumes_ml[earlier], volumes_ml[later]
        for region in (name for name in REGIONS if name in before and name in after):
            uncertainty = repeatability.change_ml(region, before[region], after[region])
            yield VolumeChange(region, earlier, later, before[region], after[region], uncertainty)


def lesions_over_time(points: Sequence[AlignedTimePoint], region: RegionName) -> tuple[Lesion, ...]:
    """Return the lesions of a region, matched over time.

    Args:
        points: Time points in their order.
        region: One of `LESIONS`.
    """
    lesion, extent = REGIONS.index(region), REGIONS.index(LESIONS[region])
    masks = [
        LesionMasks(
            point.segmented.regions[lesion],
            point.segmented.regions[extent],
            point.segmented.grid,
            None if point.alignment is None else point.alignment.transform,
        )
        for point in points
    ]
    return match_lesions(masks).lesions


def lesion_states(lesion: Lesion, region: RegionName, repeatability: Repeatability) -> list[str]:
    """Return what happened to a lesion from each time point to the next, in a word or two.

    Args:
        lesion: Lesion over time.
        region: Region of the volumes.
        repeatability: Random error of the volumes.

    Example:
        >>> measured = Repeatability("model", 40, {"ET": (0.1, 0.1)})
        >>> lesion_states(Lesion((1.0, 3.0, 3.1, 0.0), (2, 1, 1, 0), (0, 0, 0)), "ET", measured)
        ['grown, merged', 'within uncertainty', 'gone']
    """
    states = []
    for (before, after), (parts, parts_after) in zip(pairwise(lesion.volumes_ml), pairwise(lesion.parts), strict=True):
        if not parts or not parts_after:
            states.append("absent" if parts == parts_after else "gone" if parts else "new")
            continue
        is_within = abs(after - before) <= repeatability.change_ml(region, before, after)
        state = "within uncertainty" if is_within else "grown" if after > before else "shrunk"
        regrouped = ", merged" if parts_after < parts else ", split" if parts_after > parts else ""
        states.append(state + regrouped)
    return states
