"""HTML page of a segmented patient: pictures, volumes, overlays and provenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenunet.core.regions import REGION_TITLES
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES
from tokenunet.io.page import css_color, data_url, render_page

LIMITS = (
    "For research only. This is not a medical device: check every result before you rely on it.",
    "Models are meant for adult glioma before surgery. Cavities, other diseases, metastases and children were not "
    "tested; small lesions can be missed, and bright white matter can be taken for tumor.",
    "Diameters are measured in the segmentation: an error of its outline is an error of theirs.",
)
"""Sentences on what a result does not say."""
_OPTIONAL: dict[str, Any] = {
    "started": "",
    "lesions": {},
    "overlays": [],
    "volumes_range_ml": {},
    "volumes_interval_ml": {},
    "expected_dice": {},
    "review_candidates": [],
}
"""Values of a run report that results of earlier versions lack."""


@dataclass(frozen=True)
class Picture:
    """Rendered view.

    Attributes:
        group: Section of the page: `slices`, `surface`, `key_slices` or the name of a group of overlays.
        title: Caption.
        png: PNG file's content.
    """

    group: str
    title: str
    png: bytes

    @property
    def data_url(self) -> str:
        """Picture as a data URL, so that the page needs no other file."""
        return data_url(self.png, "image/png")


def segmentation_report(
    run: dict[str, Any],
    pictures: Sequence[Picture],
    patient: str,
    dice: dict[str, float] | None = None,
    no_pictures_because: str = "",
    location: dict[str, Any] | None = None,
) -> str:
    """Render the page of a segmented patient as HTML.

    Args:
        run: Run report, as in ``run.json``.
        pictures: Rendered views; may be empty.
        patient: Name of the patient.
        dice: Dice by region, if the ground truth is known.
        no_pictures_because: Sentence displayed instead of pictures.
        location: Where the tumor is, as from `tokenunet.measurement.midline.Location.to_json`; None is not displayed.
    """
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture)
    return render_page(
        "segmentation.html",
        run=_OPTIONAL | run,
        groups=groups,
        patient=patient,
        dice=dice,
        location=None if location is None else location_rows(location),
        notes=edit_notes(run),
        limits=LIMITS,
        no_pictures_because=no_pictures_because,
        regions=[(name, REGION_TITLES[name], css_color(REGION_STYLES[name].color)) for name in REGION_STYLES],
        labels=[(name, style.title, css_color(style.color)) for name, style in LABEL_STYLES.items()],
    )


def location_rows(location: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and value of each measure of a tumor's location.

    Args:
        location: As from `tokenunet.measurement.midline.Location.to_json`.
    """
    rows = [
        ("Side", f"{location['side']} ({100 * location['left_share']:.0f} % of the whole tumor at the left)"),
        ("Extent over the midplane", f"{location['across_mm']:.1f} mm"),
    ]
    if location["shift_mm"] is None:
        return [*rows, ("Midline shift", "not measured: no ventricles were found in the reference scan")]
    side = "left" if location["shift_mm"] > 0 else "right"
    rows.append(("Midline shift", f"{abs(location['shift_mm']):.1f} mm to the {side}"))
    for name, distance in location["ventricle_mm"].items():
        text = "in contact" if not distance else f"{distance:.1f} mm away"
        rows.append((f"Ventricles and {REGION_TITLES[name]}", text))
    return rows


def edit_notes(run: dict[str, Any]) -> list[str]:
    """Return a sentence for each correction by hand that a run report records."""
    notes = []
    for edit in run.get("edits", ()):
        regions = ", ".join(REGION_TITLES.get(name, name) for name in edit["regions"])
        notes.append(f"Corrected by hand on {edit['time'][:10]}: {regions}.")
    moved = any(lesion.get("moved") for lesions in run.get("lesions", {}).values() for lesion in lesions)
    return [*notes, "Lines of diameters were moved by hand."] if moved else notes
