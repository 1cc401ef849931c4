"""HTML page of a segmented patient: pictures, volumes, overlays and provenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenunet.core.regions import REGION_TITLES
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES
from tokenunet.io.page import css_color, data_url, render_page


@dataclass(frozen=True)
class Picture:
    """Rendered view.

    Attributes:
        group: Section of the page: `slices`, `surface` or the name of a group of overlays.
        title: Caption.
        path: PNG file.
    """

    group: str
    title: str
    path: Path

    @property
    def data_url(self) -> str:
        """Picture as a data URL, so that the page needs no other file."""
        return data_url(self.path.read_bytes(), "image/png")


def segmentation_report(
    run: dict[str, Any],
    pictures: Sequence[Picture],
    patient: str,
    dice: dict[str, float] | None = None,
    no_pictures_because: str = "",
) -> str:
    """Render the page of a segmented patient as HTML.

    Args:
        run: Run report, as in ``run.json``.
        pictures: Rendered views; may be empty.
        patient: Name of the patient.
        dice: Dice by region, if the ground truth is known.
        no_pictures_because: Sentence displayed instead of pictures.
    """
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture)
    return render_page(
        "segmentation.html",
        run=run,
        groups=groups,
        patient=patient,
        dice=dice,
        no_pictures_because=no_pictures_because,
        regions=[(name, REGION_TITLES[name], css_color(REGION_STYLES[name].color)) for name in REGION_STYLES],
        labels=[(name, style.title, css_color(style.color)) for name, style in LABEL_STYLES.items()],
    )
