"""PDF of a follow-up: the same measures, curves and pictures as the HTML page."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_pdf import PdfPages

from tokenunet.core.regions import REGION_TITLES, REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.followup.change_map import CHANGE
from tokenunet.followup.charts import Chart, charts_of
from tokenunet.io.segmentation_page import LIMITS, Picture
from tokenunet.report.key_slices import RESEARCH_ONLY
from tokenunet.report.pdf import Pages

_CHART_HEIGHT = 0.22
_PICTURES_HEIGHT = 0.25
"""Of a heading with a row of pictures."""
_WARNING = "#a05a00"


def follow_up_pdf(report: Mapping[str, Any], pictures: Sequence[Picture]) -> bytes:
    """Return the report of a follow-up as a PDF file.

    Args:
        report: Report, as in ``follow_up.json``.
        pictures: Pictures of `tokenunet.followup.page.follow_up_pictures`.
    """
    buffer = BytesIO()
    with (
        mpl.rc_context({"pdf.fonttype": 42}),  # text that can be searched and copied
        PdfPages(buffer, metadata={"Title": "Token-UNet: follow-up", "CreationDate": None}) as file,
    ):
        pages = Pages(file, f"Token-UNet: follow-up. {RESEARCH_ONLY}.")
        pages.heading("Follow-up", 18)
        pages.paragraph(LIMITS[0], color=_WARNING)
        for warning in report["warnings"]:
            pages.paragraph(warning["message"], color=_WARNING)
        _write_time_points(pages, report)
        for chart in charts_of(report):
            pages.heading(f"{chart.title} in {chart.unit}", before=_CHART_HEIGHT)
            _draw(pages, chart)
        if report["rano_lines_mm2"]["decrease"]:
            pages.paragraph(f"Dashed lines are thresholds of {report['rano_lines_mm2']['source']}, for orientation.")
        _write_changes(pages, report)
        _write_lesions(pages, report)
        for group, title in (("slices", "Slice with most tumor"), (CHANGE.name, "Gained (red) and lost (blue)")):
            chosen = [picture for picture in pictures if picture.group == group]
            pages.heading(title, before=_PICTURES_HEIGHT)
            pages.pictures(chosen)
        pages.end()
    return buffer.getvalue()


def _write_time_points(pages: Pages, report: Mapping[str, Any]) -> None:
    pages.heading("Time points")
    rows = [("Time point", *(REGION_TITLES[name] for name in REGIONS), "Alignment")]
    for point in report["time_points"]:
        volumes, alignment = point["volumes_ml"], point["alignment"]
        moved = alignment and f"{alignment['shift_mm']:.1f} mm, {alignment['rotation_degrees']:.1f}°"
        texts = (f"{volumes[name]:.1f} ml" if name in volumes else "not segmented" for name in REGIONS)
        rows.append((point["name"], *texts, moved or "first"))
    pages.table(rows, (0, 0.25, 0.42, 0.59, 0.78))


def _draw(pages: Pages, chart: Chart) -> None:
    axes = pages.axes(_CHART_HEIGHT)
    for curve in chart.curves:
        known = [(p, v) for p, v in zip(chart.places, curve.values, strict=True) if v is not None]
        if not known:
            continue
        style = "--" if curve.is_threshold else "o-"
        if curve.is_threshold and len(known) == 1:  # a threshold at one time point only is drawn as a short line
            half = (chart.places[-1] - chart.places[0]) / 20
            known = [(known[0][0] - half, known[0][1]), (known[0][0] + half, known[0][1])]
        axes.plot(*zip(*known, strict=True), style, color=curve.color, label=curve.title, markersize=4)
    axes.set_ylim(bottom=0)
    axes.set_xticks(chart.places, chart.labels)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.legend(fontsize=7, frameon=False, loc="best")


def _write_changes(pages: Pages, report: Mapping[str, Any]) -> None:
    pages.heading("Changes of volume")
    rows = [("From", "To", "Region", "Before, after", "Change", "Uncertainty", "Change is")]
    for change in report["changes"]:
        percent = "" if change["percent"] is None else f" ({change['percent']:+.0f} %)"
        rows.append(
            (
                change["earlier"],
                change["later"],
                change["region"],
                f"{change['before_ml']:.1f}, {change['after_ml']:.1f} ml",
                f"{change['difference_ml']:+.1f} ml{percent}",
                f"± {change['uncertainty_ml']:.1f} ml",
                "within uncertainty" if change["within_uncertainty"] else "larger",
            )
        )
    colors = [REGION_STYLES[change["region"]].color for change in report["changes"]]
    pages.table(rows, (0, 0.13, 0.26, 0.34, 0.5, 0.68, 0.8), colors)
    measured = report["uncertainty"]
    pages.paragraph(
        "Uncertainty: the error that 95 % of measured changes stay below. A change within it may be none. It was "
        f"measured on {measured['patients']} synthetic patients, segmented by {measured['model']}. Real scanners and "
        "other models may differ more."
    )


def _write_lesions(pages: Pages, report: Mapping[str, Any]) -> None:
    names = [point["name"] for point in report["time_points"]]
    starts = [0.0, *(0.12 + 0.86 * number / len(names) for number in range(len(names)))]
    for region, lesions in report["lesions"].items():
        pages.heading(f"Lesions: {REGION_TITLES[region]}")
        if not lesions:
            pages.paragraph("None of at least 0.1 ml.")
            continue
        rows = [("Lesion", *names)]
        for number, lesion in enumerate(lesions, start=1):
            states = ["", *(f" ({state})" for state in lesion["changes"])]
            texts = (
                (f"{ml:.2f} ml" if parts else "absent") + state
                for ml, parts, state in zip(lesion["volumes_ml"], lesion["parts"], states, strict=True)
            )
            rows.append((str(number), *texts))
        pages.table(rows, starts)
