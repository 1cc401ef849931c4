"""Overlays: maps that are displayed over the scans, such as attention maps and ensemble uncertainty.

An overlay belongs to a group, which the panel, the report and the scene show together. `tokenunet.inference.overlays`
describes how a new group is added.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.errors import OverlayError
from tokenunet.core.grid import Grid

OVERLAYS = "overlays"
"""Folder of the overlays in a result."""
Color = tuple[float, float, float]
COLORMAPS: Mapping[str, tuple[tuple[float, Color], ...]] = MappingProxyType(
    {
        "attention": ((0.0, (0.45, 0.05, 0.30)), (0.5, (0.93, 0.33, 0.10)), (1.0, (1.0, 0.97, 0.55))),
        "signed": (
            (0.0, (0.05, 0.30, 0.85)),
            (0.4, (0.55, 0.75, 0.95)),
            (0.5, (0.95, 0.95, 0.95)),
            (0.6, (0.97, 0.70, 0.50)),
            (1.0, (0.80, 0.08, 0.10)),
        ),
        "heat": ((0.0, (0.0, 0.0, 0.0)), (0.4, (0.80, 0.10, 0.0)), (0.75, (1.0, 0.75, 0.05)), (1.0, (1.0, 1.0, 1.0))),
    }
)
"""Colors of every color map at positions from 0 to 1, interpolated in between."""


@dataclass(frozen=True, kw_only=True)
class ListedOverlay:
    """An overlay as the index of a result lists it.

    Attributes:
        name: Identifier, unique in a result, such as `token_learner_3`.
        title: Name in panels and figures, such as "TokenLearner 3".
        group: Identifier of the group, such as `token_learner`.
        unit: Meaning of the values, such as "times uniform".
        range: Values at both ends of the color map. With one of either sign, zero is in the middle and transparent.
        colormap: Name of one of `COLORMAPS`.

    Raises:
        OverlayError: If a name is no identifier, the range is empty or the color map is unknown.
    """

    name: str
    title: str
    group: str
    unit: str
    range: tuple[float, float]
    colormap: str

    def __post_init__(self) -> None:
        """Check the names, the range and the color map."""
        for name in (self.name, self.group):
            if not name.isidentifier():
                raise OverlayError(f"{name!r} cannot name an overlay.", "Use letters, digits and underscores.")
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise OverlayError(f"The overlay {self.name!r} has the range {low} to {high}.", "The first must be less.")
        if self.colormap not in COLORMAPS:
            raise OverlayError(
                f"The overlay {self.name!r} has the unknown color map {self.colormap!r}.",
                f"Choose from {', '.join(COLORMAPS)}.",
            )

    @property
    def signed(self) -> bool:
        """Whether values of either sign are displayed."""
        return self.range[0] < 0 < self.range[1]

    @property
    def range_text(self) -> str:
        """Values at both ends of the color map in words, such as "1 to 7.3 times uniform"."""
        low, high = self.range
        return f"{low:.3g} to {high:.3g} {self.unit}"

    @property
    def file(self) -> Path:
        """File relative to the result's folder."""
        return Path(OVERLAYS, self.group, f"{self.name}.nii.gz")


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay(ListedOverlay):
    """A map over the scans: numbers on a grid, and how they are displayed.

    Attributes:
        array: Values (z, y, x).
        grid: Grid of the values. It need not be that of the scans.

    Raises:
        OverlayError: If the array does not fit the grid, or holds values that are not finite.

    Example:
        >>> grid = Grid((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> overlay = Overlay(
        ...     name="noise", title="Noise", group="noise", unit="HU", range=(0, 5), colormap="heat",
        ...     array=np.zeros((2, 3, 4), np.float32), grid=grid,
        ... )
        >>> overlay.file.as_posix(), overlay.range_text
        ('overlays/noise/noise.nii.gz', '0 to 5 HU')
    """

    array: NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        """Check that the array fits the grid, and make it single precision."""
        super().__post_init__()
        object.__setattr__(self, "array", np.asarray(self.array, np.float32))
        if self.array.shape != self.grid.size[::-1]:
            raise OverlayError(
                f"The overlay {self.name!r} has the shape {self.array.shape}, its grid {self.grid.size[::-1]}.",
                "The array's axes are z, y and x.",
            )
        if not np.isfinite(self.array).all():
            raise OverlayError(f"The overlay {self.name!r} has values that are not finite.", "Replace them.")


@dataclass(frozen=True)
class OverlayGroup:
    """Overlays that are displayed together.

    Attributes:
        name: Identifier, such as `token_learner`.
        title: Name in panels, folders and figures, such as "TokenLearner maps".
        description: One sentence about the meaning of the values.
        overlays: Overlays of one result.
    """

    name: str
    title: str
    description: str
    overlays: tuple[ListedOverlay, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the group's entry in the index of a result."""
        overlays = [
            {
                "name": overlay.name,
                "title": overlay.title,
                "unit": overlay.unit,
                "range": [float(end) for end in overlay.range],
                "colormap": overlay.colormap,
            }
            for overlay in self.overlays
        ]
        return {"name": self.name, "title": self.title, "description": self.description, "overlays": overlays}

    @classmethod
    def from_json(cls, entry: Any) -> "OverlayGroup":
        """Return the group that an index lists.

        Raises:
            OverlayError: If the entry is not what `to_json` returns.
        """
        try:
            name = str(entry["name"])
            overlays = tuple(
                ListedOverlay(**{**listed, "group": name, "range": tuple(map(float, listed["range"]))})
                for listed in entry["overlays"]
            )
            return cls(name, str(entry["title"]), str(entry["description"]), overlays)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OverlayError(f"The list of overlays is damaged: {error!r}.", "Segment the patient again.") from error


def check_names(overlays: tuple[Overlay, ...]) -> None:
    """Check that all overlays of a result have different names.

    Raises:
        OverlayError: If two have the same name.
    """
    seen: dict[str, str] = {}
    for overlay in overlays:
        if overlay.name in seen:
            raise OverlayError(
                f"The overlay name {overlay.name!r} is taken in the group {seen[overlay.name]!r}.",
                f"Rename the one in the group {overlay.group!r}.",
            )
        seen[overlay.name] = overlay.group
