"""HTML page of a follow-up: curves, tables of changes and lesions, pictures, which its PDF displays, too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.overlays import COLORMAPS, Overlay
from tokenunet.core.regions import REGION_TITLES, REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.followup.align import AlignedTimePoint
from tokenunet.followup.change_map import CHANGE
from tokenunet.followup.charts import Chart, charts_of
from tokenunet.io.page import css_color, render_page
from tokenunet.io.pictures import contoured, grays, png
from tokenunet.io.segmentation_page import Picture

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 60, 20, 50
"""Size and margins of a chart in pixels."""
_MAP_OPACITY = 0.7


@dataclass(frozen=True)
class DrawnLine:
    """Curve of a chart in pixels.

    Attributes:
        title: Name in the legend.
        color: Color as in CSS.
        is_threshold: Whether it is a threshold.
        points: Positions (x, y).
    """

    title: str
    color: str
    is_threshold: bool
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class DrawnChart:
    """Chart in pixels.

    Attributes:
        title: Title with the unit.
        lines: Curves and thresholds.
        x_ticks: Position and text of each time point.
        y_ticks: Position and text of each labeled value.
    """

    title: str
    lines: tuple[DrawnLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def follow_up_pictures(points: Sequence[AlignedTimePoint], maps: Sequence[Overlay]) -> list[Picture]:
    """Draw the tumor at each time point, in the group `slices`, and the maps of change, in the group `change`.

    Args:
        points: Time points in their order.
        maps: Maps of change.
    """
    return [*_slices(points), *_maps(points[0], maps)]


def follow_up_page(report: Mapping[str, Any], pictures: Sequence[Picture]) -> str:
    """Render the page as HTML.

    Args:
        report: Report, as in ``follow_up.json``.
        pictures: Pictures of `follow_up_pictures`.
    """
    return render_page(
        "follow_up.html",
        report=report,
        charts=[_drawn(chart) for chart in charts_of(report)],
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        bottom=_BOTTOM,
        pictures=pictures,
        region_titles=REGION_TITLES,
        regions=[(name, REGION_TITLES[name], css_color(REGION_STYLES[name].color)) for name in REGIONS],
    )


def _drawn(chart: Chart) -> DrawnChart:
    values = [value for curve in chart.curves for value in curve.values if value is not None]
    highest = 1.1 * max([*values, 1.0])
    first, last = chart.places[0], chart.places[-1]

    def x(place: float) -> float:
        return round(_LEFT + (place - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (1 - value / highest) * (_HEIGHT - _TOP - _BOTTOM), 1)

    lines = tuple(
        DrawnLine(
            curve.title,
            css_color(curve.color),
            curve.is_threshold,
            tuple((x(p), y(v)) for p, v in zip(chart.places, curve.values, strict=True) if v is not None),
        )
        for curve in chart.curves
    )
    ticks = np.arange(0, highest, float(f"{highest / 4:.1g}"))
    return DrawnChart(
        f"{chart.title} in {chart.unit}",
        lines,
        tuple((x(place), label) for place, label in zip(chart.places, chart.labels, strict=True)),
        tuple((y(float(tick)), f"{tick:g}") for tick in ticks),
    )


def _slices(points: Sequence[AlignedTimePoint]) -> Iterator[Picture]:
    """Yield the picture of each time point, in the axial slice with most tumor over all of them."""
    tumor = _axial(np.logical_or.reduce([point.regions[0] for point in points]), points[0])
    place = int(np.argmax(tumor.sum(axis=(1, 2))))
    for point in points:
        rgb = grays(_axial(point.scan, points[0]))[place : place + 1]
        for name, region in zip(REGIONS, point.regions, strict=True):
            mask = _axial(region, points[0])[place : place + 1] > 0
            rgb = contoured(rgb, mask, REGION_STYLES[name].color)
        yield Picture("slices", point.segmented.point.name, png(rgb[0]))


def _maps(first: AlignedTimePoint, maps: Sequence[Overlay]) -> Iterator[Picture]:
    """Yield the picture of each map over the first scan, in the axial slice with most change."""
    scan = grays(_axial(first.scan, first))
    for overlay in maps:
        change = _axial(overlay.array, first)
        place = int(np.argmax(np.abs(change).sum(axis=(1, 2))))
        low, high = overlay.range
        stops, colors = zip(*COLORMAPS[overlay.colormap], strict=True)
        share = (change[place] - low) / (high - low)
        painted = np.stack([np.interp(share, stops, channel) for channel in zip(*colors, strict=True)], axis=-1)
        opacity = _MAP_OPACITY * (change[place] != 0)[..., None]
        yield Picture(CHANGE.name, overlay.title, png(scan[place] * (1 - opacity) + painted * opacity))


def _axial(array: NDArray, first: AlignedTimePoint) -> NDArray[np.float32]:
    """Return an array on the first time point's grid as axial slices from foot to head, upright."""
    image = first.segmented.grid.image(array.astype(np.float32))
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS"))
