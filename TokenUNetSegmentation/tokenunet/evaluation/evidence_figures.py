"""Figures of a model's evaluation; needs matplotlib."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tokenunet.core.regions import REGION_TITLES, REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.evaluation.real import ContourView
from tokenunet.io.figures import plot_style


def draw_calibration(calibration: Mapping[str, Any]) -> bytes:
    """Draw the reliability of each region as PNG; on the diagonal, probabilities are calibrated.

    Args:
        calibration: Bins by region, as in ``evaluation.json``.
    """
    with plot_style():
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        panels = figure.subplots(1, len(REGIONS), sharex=True, sharey=True)
        for region, axes in zip(REGIONS, panels, strict=True):
            bins = calibration[region]["bins"]
            axes.plot([0, 1], [0, 1], color="black", lw=1, ls=":")
            axes.plot(
                [one["probability"] for one in bins], [one["frequency"] for one in bins], "o-", color="#0072b2", ms=5
            )
            error = calibration[region]["expected_calibration_error"]
            axes.set_title(f"{REGION_TITLES[region]}: error {error:.4f}", loc="left", fontsize=10)
            axes.set(xlabel="probability predicted", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panels[0].set_ylabel("share that is of the region")
        return _png(figure)


def draw_contours(view: ContourView) -> bytes:
    """Draw ground truth and prediction side by side as PNG, with a row for each scan."""
    with plot_style():
        height, width = view.truth.shape[1:]
        figure = Figure(figsize=(7, 0.6 + 7 * height / width * len(view.scans) / 2), layout="constrained")
        for row, (name, scan) in zip(figure.subplots(len(view.scans), 2), view.scans.items(), strict=True):
            low, high = np.percentile(scan[scan != 0], [1, 99.5])
            for axes, title, regions in zip(
                row, ("ground truth", "prediction"), (view.truth, view.predicted), strict=True
            ):
                axes.set_axis_off()
                axes.imshow(np.where(scan == 0, low, scan), cmap="gray", vmin=low, vmax=high)
                for region, outline in zip(REGIONS, regions, strict=True):
                    if outline.any() and not outline.all():
                        axes.contour(outline, levels=[0.5], colors=[REGION_STYLES[region].color], linewidths=1.2)
                axes.set_title(f"{name}, {title}", loc="left", fontsize=9)
        handles = [Patch(color=REGION_STYLES[region].color, label=REGION_TITLES[region]) for region in REGIONS]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(REGIONS))
        return _png(figure)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
