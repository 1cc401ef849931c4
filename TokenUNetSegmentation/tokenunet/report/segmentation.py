"""The page that shows one segmented patient: pictures, volumes, attention masks and how it was made."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from tokenunet.regions import REGION_TITLES
from tokenunet.terminology import LABEL_STYLES, REGION_STYLES


@dataclass(frozen=True)
class Picture:
    """A rendered view.

    Attributes:
        group: ``slices``, ``surface``, ``token_learner`` or ``token_fuser``: where on the page it stands.
        title: what it shows.
        path: a PNG file.
    """

    group: str
    title: str
    path: Path

    @property
    def data_url(self) -> str:
        """The picture itself as a URL, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


def segmentation_report(
    run: dict[str, Any],
    pictures: Sequence[Picture],
    patient: str,
    dice: dict[str, float] | None = None,
    no_pictures_because: str = "",
) -> str:
    """HTML of the page.

    Args:
        run: the run report, as in ``run.json``.
        pictures: rendered views; may be empty.
        patient: how the page calls the patient.
        dice: by region, where the truth is known.
        no_pictures_because: a sentence shown in the pictures' place.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tokenunet.report", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture)
    return environment.get_template("segmentation.html").render(
        run=run,
        groups=groups,
        patient=patient,
        dice=dice,
        no_pictures_because=no_pictures_because,
        regions=[(name, REGION_TITLES[name], _css(REGION_STYLES[name].colour)) for name in REGION_STYLES],
        labels=[(name, style.title, _css(style.colour)) for name, style in LABEL_STYLES.items()],
    )


def _css(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)
