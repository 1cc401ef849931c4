"""Pictures of the tumor's surfaces inside the brain, without a graphics library."""

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.terminology import REGION_STYLES
from tokenunet.report.measured import MeasuredPatient

_SPACING_MM = (1.0, 1.0, 1.0)
_SMOOTHING_MM = 1.0
_BRAIN = (0.85, 0.85, 0.85)
_OPACITY = {"brain": 0.2, "WT": 0.4, "TC": 0.2, "ET": 1.0}


def surface_pictures(patient: MeasuredPatient) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield titles and square pictures (side, side, 3) of head and tumor from three directions, at 1 mm per pixel."""
    grid = patient.grid.with_spacing(_SPACING_MM)
    surfaces = []
    for name, mask in (("brain", patient.head), *((name, patient.region(name)) for name in patient.claimed)):
        image = patient.grid.image(mask.astype(np.float32))
        smooth = sitk.GetArrayFromImage(grid.resample(sitk.SmoothingRecursiveGaussian(image, _SMOOTHING_MM)))
        color = _BRAIN if name == "brain" else REGION_STYLES[name].color  # type: ignore[index]
        if name == "brain":
            box = _box(smooth > 0.5)
        surfaces.append((smooth[box], color, _OPACITY[name]))
    for title, turn in (
        ("From the front, the patient's right at the left", lambda a: np.moveaxis(a, 1, 0)[:, ::-1]),
        ("From the patient's left, the face at the left", lambda a: np.moveaxis(a, 2, 0)[::-1, ::-1]),
        ("From above, the patient's left at the left", lambda a: a[::-1, :, ::-1]),
    ):
        yield title, _picture([(turn(smooth), color, opacity) for smooth, color, opacity in surfaces])


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the box around a mask; all of it if it is empty."""
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(int(span[0]), int(span[-1]) + 1) if len(span) else slice(None) for span in spans)


def _picture(
    surfaces: list[tuple[NDArray[np.float32], tuple[float, float, float], float]],
) -> NDArray[np.uint8]:
    """Return the surfaces as seen along the first axis, the innermost opaque and each next one translucent over it."""
    picture = np.zeros((*surfaces[0][0].shape[1:], 3))
    for smooth, color, opacity in reversed(surfaces):
        inside = smooth > 0.5
        hit = inside.any(0)
        depth = np.where(hit, inside.argmax(0), 0).astype(np.float64)
        down, across = np.gradient(depth)
        facing = 1 / np.sqrt(1 + down**2 + across**2)  # 1 toward the viewer, 0 at the rim
        lit = (0.25 + 0.75 * facing)[..., None] * np.array(color)
        # The rim of a translucent surface is denser, as more of it is along the line of sight.
        weight = np.where(hit, opacity + (1 - opacity) * (1 - facing) ** 4, 0)[..., None]
        picture = picture * (1 - weight) + lit * weight
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3))
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return (255 * np.clip(square, 0, 1)).round().astype(np.uint8)
