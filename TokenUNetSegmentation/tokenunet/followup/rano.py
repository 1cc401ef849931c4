"""Sum of products of diameters over time, and the thresholds of RANO 2.0 for its plot."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RANO_SOURCE = (
    "RANO 2.0 (Wen et al., Journal of Clinical Oncology 41(33), 2023): at least 50 % less than at baseline, at least "
    "25 % more than the smallest so far, in the sum of the products of the diameters of measurable enhancing lesions"
)
RANO_DECREASE, RANO_INCREASE = -0.50, 0.25


def sum_of_products_mm2(lesions: Iterable[Mapping[str, Any]]) -> float:
    """Return the sum of the products of the diameters of all measurable lesions, in mm².

    Args:
        lesions: Lesions as a run report lists them.
    """
    products = (lesion["longest_mm"] * lesion["perpendicular_mm"] for lesion in lesions if lesion["measurable"])
    return round(sum(products), 1)


def rano_lines(sums: Sequence[float]) -> dict[str, list[float | None]]:
    """Return the thresholds of RANO 2.0 at each time point, for a plot of the sums of products.

    Args:
        sums: Sums of products in mm², the first of which is taken as the baseline.

    Example:
        >>> rano_lines([400, 300, 350])
        {'decrease': [200.0, 200.0, 200.0], 'increase': [None, 500.0, 375.0]}
    """
    if not sums:
        return {"decrease": [], "increase": []}
    increase = [None, *((1 + RANO_INCREASE) * min(sums[:time]) for time in range(1, len(sums)))]
    return {"decrease": [(1 + RANO_DECREASE) * sums[0]] * len(sums), "increase": increase}
