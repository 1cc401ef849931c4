"""Key slices of a segmented patient, chosen by what is measured in them and drawn with outlines and numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tokenunet.core.terminology import REGION_STYLES
from tokenunet.measurement import LesionDiameters
from tokenunet.report.measured import MeasuredPatient

RESEARCH_ONLY = "Research only, not for diagnosis"
Plane = Literal["axial", "coronal", "sagittal"]
_AXES: dict[Plane, int] = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis (z, y, x) perpendicular to each plane."""
_LETTERS: dict[Plane, tuple[str, str]] = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
"""Sides of the patient at the left and the right of a picture."""
_MOST_LESIONS = 5
"""Number of lesions of each region that get a slice of their own."""
_MARGIN_MM = 8
_PIXELS = 768
_DPI = 96


@dataclass(frozen=True)
class NamedLesion:
    """Lesion with its name in reports, such as "enhancing tumor 1"."""

    name: str
    diameters: LesionDiameters

    @property
    def text(self) -> str:
        """Name and both diameters."""
        longest, across = self.diameters.longest.length_mm, self.diameters.perpendicular.length_mm
        small = "" if self.diameters.is_measurable else " (not measurable)"
        return f"{self.name}: {longest:.1f} x {across:.1f} mm{small}"


@dataclass(frozen=True)
class KeySlice:
    """Slice that is worth a look.

    Attributes:
        plane: Plane of the slice.
        index: Number of the slice along its axis, from 0.
        lesions: Lesions whose diameters were measured in it.
    """

    plane: Plane
    index: int
    lesions: tuple[NamedLesion, ...] = ()

    def title(self, patient: MeasuredPatient) -> str:
        """Return the caption: plane, number and position."""
        axis = _AXES[self.plane]
        count = patient.scan.shape[axis]
        index = [(n - 1) / 2 for n in patient.grid.size]
        index[2 - axis] = self.index
        position = (patient.grid.index_to_lps @ (*index, 1))[2 - axis]
        side = ("LR", "PA", "SI")[2 - axis][0 if position >= 0 else 1]
        return f"{self.plane.capitalize()} {self.index + 1} of {count} ({side} {abs(position):.0f} mm)"


def named_lesions(patient: MeasuredPatient) -> list[NamedLesion]:
    """Return all measured lesions with their names."""
    return [
        NamedLesion(f"{REGION_STYLES[name].title} {number}", lesion)
        for name, lesions in patient.lesions.items()
        for number, lesion in enumerate(lesions, start=1)
    ]


def key_slices(patient: MeasuredPatient, planes: Sequence[Plane] = ("axial",)) -> list[KeySlice]:
    """Return the slices in which the largest lesions were measured, and the slice of each plane with most tumor.

    Args:
        patient: Patient.
        planes: Planes of the slices with most tumor, or the middle ones if there is none.
    """
    measured: dict[int, list[NamedLesion]] = {}
    to_index = np.linalg.inv(patient.grid.index_to_lps)
    for lesion in named_lesions(patient):
        if int(lesion.name.rsplit(" ", 1)[1]) <= _MOST_LESIONS:
            z = round(float((to_index @ (*lesion.diameters.longest.start, 1))[2]))
            measured.setdefault(z, []).append(lesion)
    whole = patient.region("WT") if patient.region("WT").any() else patient.head
    slices = []
    for plane in planes:
        others = tuple(axis for axis in range(3) if axis != _AXES[plane])
        largest = int(whole.sum(axis=others).argmax())
        if plane == "axial":
            measured.setdefault(largest, [])
            slices += [KeySlice("axial", z, tuple(lesions)) for z, lesions in sorted(measured.items())]
        else:
            slices.append(KeySlice(plane, largest))
    return slices


def draw_slice(axes: Axes, patient: MeasuredPatient, key: KeySlice) -> None:
    """Draw a slice with the outlines of the regions and the lesions' diameters, in mm.

    Args:
        axes: Axes to draw on.
        patient: Patient.
        key: Slice of the patient.
    """
    axis = _AXES[key.plane]
    across, down = (patient.grid.spacing[2 - other] for other in reversed([a for a in range(3) if a != axis]))
    gray = np.take(patient.grays, key.index, axis)
    height, width = gray.shape
    extent = (-across / 2, (width - 0.5) * across, (height - 0.5) * down, -down / 2)
    axes.set_axis_off()
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="bilinear")
    x, y = np.arange(width) * across, np.arange(height) * down
    for name in patient.claimed:
        mask = patient.region(name).take(key.index, axis)
        if mask.any() and min(mask.shape) > 1:
            axes.contour(x, y, mask, levels=[0.5], colors=[REGION_STYLES[name].color], linewidths=1.2)
    to_index = np.linalg.inv(patient.grid.index_to_lps)
    for lesion in key.lesions:
        for line in (lesion.diameters.longest, lesion.diameters.perpendicular):
            ends = np.array([(to_index @ (*point, 1))[:2] for point in (line.start, line.end)]) * (across, down)
            axes.plot(*ends.T, color="white", linewidth=1)
    (left, right), (top, bottom) = _view(patient, axis, across, down)
    axes.set_xlim(left, right)
    axes.set_ylim((top, bottom) if axis else (bottom, top))  # the head is upright
    for letter, place, side in zip(_LETTERS[key.plane], (0.02, 0.98), ("left", "right"), strict=True):
        axes.text(place, 0.5, letter, transform=axes.transAxes, color="white", ha=side, va="center", fontsize=11)


def _view(
    patient: MeasuredPatient, axis: int, across: float, down: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range across and down, in mm, that shows the head or brain with a margin."""
    rows, columns = np.nonzero(patient.head.any(axis))
    return (
        (columns.min() * across - _MARGIN_MM, columns.max() * across + _MARGIN_MM),
        (rows.min() * down - _MARGIN_MM, rows.max() * down + _MARGIN_MM),
    )


def burned_pictures(patient: MeasuredPatient) -> Iterator[tuple[KeySlice, NDArray[np.uint8]]]:
    """Yield the axial key slices with their pictures, (768, 768, 3), in which numbers and a caution are burned in."""
    for key in key_slices(patient):
        figure = Figure(figsize=(_PIXELS / _DPI, _PIXELS / _DPI), dpi=_DPI, facecolor="black")
        draw_slice(figure.add_axes((0, 0.12, 1, 0.8)), patient, key)
        figure.text(0.02, 0.975, key.title(patient), color="white", fontsize=12, va="top")
        figure.text(0.98, 0.975, f"Token-UNet. {RESEARCH_ONLY}.", color="#f0e442", fontsize=12, va="top", ha="right")
        if not patient.region("WT").any():
            figure.text(0.02, 0.02, "No tumor was found.", color="white", fontsize=12)
        for number, name in enumerate(patient.claimed):
            style = REGION_STYLES[name]
            text = f"{style.title} {patient.volume_ml(name):.1f} ml"
            figure.text(0.02 + number / 3, 0.075, text, color=style.color, fontsize=12)
        for number, lesion in enumerate(key.lesions[:4]):
            place = (0.02 + number % 2 / 2, 0.042 - number // 2 * 0.03)
            figure.text(*place, lesion.text, color="white", fontsize=10)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        yield key, np.asarray(canvas.buffer_rgba())[..., :3].copy()
