"""Corrections by hand, as a run report lists them and as saved files are marked."""

from collections.abc import Mapping
from typing import Any

from tokenunet.core.regions import REGIONS, RegionName

EDITS = "edits"
"""Key of the run report: corrections, the oldest first."""
EDITED_TAG = "TokenUNet.Edited"
"""Tag of a corrected segment, with the date of its last correction; scenes and .seg.nrrd files keep it."""


def edited_regions(report: Mapping[str, Any]) -> dict[RegionName, str]:
    """Return the date of the last correction of each corrected region.

    Args:
        report: Run report.

    Example:
        >>> change = {"added_ml": 0.3, "removed_ml": 0.0}
        >>> edited_regions({"edits": [{"time": "2026-11-29T14:02:11+00:00", "regions": {"WT": change}}]})
        {'WT': '2026-11-29'}
    """
    dates = {name: edit["time"][:10] for edit in report.get(EDITS, ()) for name in edit["regions"]}
    return {name: dates[name] for name in REGIONS if name in dates}


def edit_mark(report: Mapping[str, Any]) -> str:
    """Return a mark for the header of a file, of less than 80 letters; empty if no region was corrected.

    Args:
        report: Run report.
    """
    dates = edited_regions(report)
    return f"edited by hand {max(dates.values())}: {' '.join(dates)}" if dates else ""
