"""Report of a patient as HTML page and PDF."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tokenunet.core.sequences import SequenceName
from tokenunet.io.segmentation_page import Picture, segmentation_report
from tokenunet.measurement.midline import Fluid, locate
from tokenunet.report.key_slices import KeySlice, draw_slice, key_slices
from tokenunet.report.measured import MeasuredPatient
from tokenunet.report.pdf import segmentation_pdf
from tokenunet.report.surfaces import surface_pictures

_FLUID: dict[SequenceName, Fluid] = {"T1": "dark", "T1ce": "dark", "FLAIR": "dark", "T2": "bright"}
_PICTURE_INCHES = 3.2
_DPI = 150


@dataclass(frozen=True)
class Report:
    """Report of a patient.

    Attributes:
        html: Page that needs no other file.
        pdf: Content of the PDF file.
    """

    html: str
    pdf: bytes


def make_report(
    run: dict[str, Any],
    scan: sitk.Image,
    regions: NDArray[np.bool_],
    patient: str,
    brain: NDArray[np.bool_] | None = None,
) -> Report:
    """Make the report of a patient.

    Args:
        run: Run report, as in ``run.json``.
        scan: Reference scan.
        regions: Regions (3, z, y, x) on its grid, in the order of `REGIONS`.
        patient: Name of the patient.
        brain: Mask of the brain on the scan's grid; None if the scan is skull-stripped or the mask is not at hand.
    """
    measured = MeasuredPatient.of(scan, regions, run.get("not_segmented", ()), run.get("lesions"), brain)
    with_skull = brain is None and run.get("brain_extracted")  # no ventricles can be found in it
    location = locate(
        measured.scan,
        measured.head,
        {name: measured.region(name) for name in measured.claimed},
        measured.grid,
        None if with_skull else _FLUID.get(run["reference"]),
    )
    place = None if location is None else location.to_json()
    pictures = []
    for key in key_slices(measured, ("axial", "coronal", "sagittal")):
        pictures.append(Picture("key_slices", _caption(measured, key), _slice_png(measured, key)))
    for title, pixels in surface_pictures(measured):
        pictures.append(Picture("surface", title, _png(pixels)))
    html = segmentation_report(run, pictures, patient, location=place)
    return Report(html, segmentation_pdf(run, pictures, patient, place))


def _caption(patient: MeasuredPatient, key: KeySlice) -> str:
    return "; ".join((key.title(patient), *(lesion.text for lesion in key.lesions)))


def _slice_png(patient: MeasuredPatient, key: KeySlice) -> bytes:
    figure = Figure(figsize=(_PICTURE_INCHES, _PICTURE_INCHES), dpi=_DPI, facecolor="black")
    draw_slice(figure.add_axes((0, 0, 1, 1)), patient, key)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    mpl.image.imsave(file, pixels, format="png")
    return file.getvalue()
