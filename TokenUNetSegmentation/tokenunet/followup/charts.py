"""Curves of a follow-up over time, for the page and for Slicer's plot view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenunet.core.regions import REGION_TITLES, REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.followup.rano import RANO_DECREASE, RANO_INCREASE

_GRAY, _RED = (0.33, 0.33, 0.33), (0.64, 0.2, 0.2)


@dataclass(frozen=True)
class Curve:
    """Values over time.

    Attributes:
        title: Name in the legend.
        color: Red, green and blue from 0 to 1.
        values: Value at each time point; None where there is none.
        is_threshold: Whether it is a threshold rather than a measurement.
    """

    title: str
    color: tuple[float, float, float]
    values: tuple[float | None, ...]
    is_threshold: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves with one unit.

    Attributes:
        title: Title.
        unit: Unit of the values.
        places: Position of each time point: days since the first, or numbers if a date is not known.
        labels: Date or name of each time point.
        curves: Curves, and thresholds after them.
    """

    title: str
    unit: str
    places: tuple[float, ...]
    labels: tuple[str, ...]
    curves: tuple[Curve, ...]


def charts_of(report: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of a follow-up: volumes and, with enhancing tumor, the sum of products.

    Args:
        report: Report, as in ``follow_up.json``.
    """
    entries = report["time_points"]
    days = [entry["day"] for entry in entries]
    places = tuple(float(n) for n in (range(1, len(days) + 1) if None in days else days))
    labels = tuple(str(entry["date"] or entry["name"]) for entry in entries)
    volumes = tuple(
        Curve(REGION_TITLES[name], REGION_STYLES[name].color, tuple(e["volumes_ml"].get(name) for e in entries))
        for name in REGIONS
    )
    charts = [Chart("Volumes", "ml", places, labels, volumes)]
    thresholds = report["rano_lines_mm2"]
    if thresholds["decrease"]:
        sums = tuple(entry["sum_of_products_mm2"] for entry in entries)
        curves = (
            Curve("sum of products", REGION_STYLES["ET"].color, sums),
            Curve(f"RANO 2.0: {100 * RANO_DECREASE:+.0f} % of the first", _GRAY, tuple(thresholds["decrease"]), True),
            Curve(f"RANO 2.0: {100 * RANO_INCREASE:+.0f} % of the smallest", _RED, tuple(thresholds["increase"]), True),
        )
        charts.append(Chart("Products of diameters of measurable enhancing lesions", "mm²", places, labels, curves))
    return charts
