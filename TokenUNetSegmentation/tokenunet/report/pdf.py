"""PDF of a segmented patient: the same measures and pictures as the HTML page, on pages that are filled in turn."""

import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import matplotlib.image
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from tokenunet.core.regions import REGION_TITLES
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES, SegmentStyle
from tokenunet.io.segmentation_page import LIMITS, Picture, edit_notes, location_rows
from tokenunet.report.key_slices import RESEARCH_ONLY

_A4_INCHES = (8.27, 11.69)
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.08, 0.92, 0.95, 0.06
_LINE = 0.0165
_CHARACTERS = 105
_PICTURE_HEIGHT = 0.2
_COLUMNS = 3
_ROW_HEIGHT = _PICTURE_HEIGHT + 2.6 * _LINE
"""Of pictures with their captions."""


class Pages:
    """Pages that are filled from top to bottom.

    Args:
        file: PDF file.
        footer: Text at the bottom of every page.
    """

    def __init__(self, file: PdfPages, footer: str) -> None:
        self._file = file
        self._footer = footer
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        self._figure = Figure(figsize=_A4_INCHES)
        self._y = _TOP
        self._figure.text(_LEFT, 0.03, self._footer, fontsize=8, color="0.4")
        self._figure.text(_RIGHT, 0.03, f"Page {self._number}", fontsize=8, color="0.4", ha="right")

    def end(self) -> None:
        """Write the last page."""
        self._file.savefig(self._figure)

    def _reserve(self, height: float) -> None:
        """Begin a new page if less than this height is left."""
        if self._y - height < _BOTTOM:
            self.end()
            self._begin()

    def heading(self, text: str, size: int = 13, before: float = 5 * _LINE) -> None:
        """Write a heading together with what comes next, of a height of `before`."""
        self._reserve(3 * _LINE + before)
        self._y -= 0.8 * _LINE
        self._figure.text(_LEFT, self._y, text, fontsize=size, fontweight="bold", va="top")
        self._y -= size / 13 * 1.6 * _LINE

    def paragraph(self, text: str, color: str = "black") -> None:
        """Write a text that is wrapped into lines."""
        for line in textwrap.wrap(text, _CHARACTERS):
            self._reserve(_LINE)
            self._figure.text(_LEFT, self._y, line, fontsize=9, va="top", color=color)
            self._y -= _LINE
        self._y -= 0.3 * _LINE

    def table(self, rows: Sequence[Sequence[str]], starts: Sequence[float], colors: Sequence[Any] = ()) -> None:
        """Write rows of texts, the first of which is the header, in columns that start at shares of the width."""
        for number, row in enumerate(rows):
            self._reserve(1.2 * _LINE)
            for text, start in zip(row, starts, strict=True):
                weight = "bold" if number == 0 else "normal"
                x = _LEFT + 0.02 + start * (_RIGHT - _LEFT)
                self._figure.text(x, self._y, text, fontsize=9, va="top", fontweight=weight)
            if number and colors:
                self._figure.text(_LEFT, self._y, "\N{BLACK SQUARE}", fontsize=9, va="top", color=colors[number - 1])
            self._y -= 1.2 * _LINE
        self._y -= 0.3 * _LINE

    def axes(self, height: float) -> Axes:
        """Return axes across the page, with room for the numbers at their left and below.

        Args:
            height: Height as a share of the page.
        """
        self._reserve(height)
        self._y -= height
        room = 2 * _LINE
        return self._figure.add_axes((_LEFT + 0.06, self._y + room, _RIGHT - _LEFT - 0.08, height - 1.5 * room))

    def pictures(self, pictures: Sequence[Picture]) -> None:
        """Draw pictures with their captions, three in a row."""
        width = (_RIGHT - _LEFT) / _COLUMNS
        for number, picture in enumerate(pictures):
            column = number % _COLUMNS
            if column == 0:
                self._reserve(_ROW_HEIGHT)
                self._y -= _ROW_HEIGHT
            bottom = self._y + _ROW_HEIGHT - _PICTURE_HEIGHT
            axes = self._figure.add_axes((_LEFT + column * width, bottom, 0.97 * width, _PICTURE_HEIGHT))
            axes.set_axis_off()
            axes.imshow(mpl.image.imread(BytesIO(picture.png), format="png"))
            for row, line in enumerate(textwrap.wrap(picture.title, 40)[:3]):
                place = (_LEFT + column * width, bottom - (0.2 + row * 0.7) * _LINE)
                self._figure.text(*place, line, fontsize=7, va="top")


def segmentation_pdf(
    run: dict[str, Any], pictures: Sequence[Picture], patient: str, location: dict[str, Any] | None = None
) -> bytes:
    """Return the report of a patient as a PDF file.

    Args:
        run: Run report, as in ``run.json``.
        pictures: Key slices and surfaces.
        patient: Name of the patient.
        location: Where the tumor is, as from `tokenunet.measurement.midline.Location.to_json`.
    """
    buffer = BytesIO()
    with (
        mpl.rc_context({"pdf.fonttype": 42}),  # text that can be searched and copied
        PdfPages(buffer, metadata={"Title": f"Token-UNet: {patient}", "CreationDate": None}) as file,
    ):
        pages = Pages(file, f"Token-UNet: {patient}. {RESEARCH_ONLY}.")
        pages.heading(patient, 18)
        pages.paragraph(f"Segmented on {run['started'][:10]} with the model “{run['model']['name']}”.")
        pages.paragraph(LIMITS[0], color="#a05a00")
        for note in [*edit_notes(run), *(warning["message"] for warning in run["warnings"])]:
            pages.paragraph(note, color="#a05a00")
        _write_volumes(pages, run)
        _write_expected(pages, run)
        _write_diameters(pages, run)
        if location is not None:
            pages.heading("Location")
            pages.table([("Measure", "Value"), *location_rows(location)], (0, 0.4))
        pages.heading("Model and limits")
        model = run["model"]
        pages.paragraph(f"{model['name']} ({model['architecture']}), SHA-256 {model['sha256']}")
        for limit in LIMITS[1:]:
            pages.paragraph(limit)
        for group, title in (("key_slices", "Key slices"), ("surface", "Surfaces")):
            chosen = [picture for picture in pictures if picture.group == group]
            if chosen:
                pages.heading(title, before=_ROW_HEIGHT)
                pages.pictures(chosen)
        pages.end()
    return buffer.getvalue()


def _write_volumes(pages: Pages, run: dict[str, Any]) -> None:
    styles: dict[str, SegmentStyle] = {
        str(name): style for name, style in (*LABEL_STYLES.items(), *REGION_STYLES.items())
    }
    names = [name for name in (*REGION_STYLES, "NCR", "ED") if name in run["volumes_ml"]]
    pages.heading("Volumes")
    rows = [("Region", "Volume"), *((styles[name].title, f"{run['volumes_ml'][name]:.2f} ml") for name in names)]
    pages.table(rows, (0, 0.4), [styles[name].color for name in names])


def _write_expected(pages: Pages, run: dict[str, Any]) -> None:
    expected, volumes = run.get("expected_dice", {}), run.get("volumes_interval_ml", {})
    names = [name for name in REGION_STYLES if name in expected]
    if not names:
        return
    pages.heading("Expected quality")
    rows = [("Region", "Expected Dice", "Nine of ten", "True volume, nine of ten")]
    for name in names:
        low, high = volumes.get(name, (None, None))
        rows.append(
            (
                REGION_TITLES[name],
                f"{expected[name]['value']:.2f}",
                f"{expected[name]['low']:.2f} to {expected[name]['high']:.2f}",
                "" if low is None else f"{low:.1f} to {high:.1f} ml",
            )
        )
    pages.table(rows, (0, 0.3, 0.5, 0.7), [REGION_STYLES[name].color for name in names])


def _write_diameters(pages: Pages, run: dict[str, Any]) -> None:
    found = [(name, i, lesion) for name, own in run["lesions"].items() for i, lesion in enumerate(own, start=1)]
    if not found:
        return
    pages.heading("Diameters")
    rows = [("Lesion", "Longest", "Perpendicular", "Product", "By RANO 2.0")]
    for name, number, lesion in found:
        longest, across = lesion["longest_mm"], lesion["perpendicular_mm"]
        rows.append(
            (
                f"{REGION_TITLES[name]} {number}",
                f"{longest:.1f} mm",
                f"{across:.1f} mm",
                f"{longest * across:.0f} mm²",
                "measurable" if lesion["measurable"] else "not measurable",
            )
        )
    pages.table(rows, (0, 0.3, 0.45, 0.62, 0.8), [REGION_STYLES[name].color for name, _number, _lesion in found])
