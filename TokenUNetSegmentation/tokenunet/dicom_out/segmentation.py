"""DICOM segmentation object of nested regions (PS3.3, A.51)."""

import highdicom
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.terminology import ANATOMY, CATEGORY, REGION_STYLES, Code
from tokenunet.dicom_out.source import EQUIPMENT, LONGEST_NAME, SourceSeries

_SERIES_NUMBER_OFFSET = 1000


def dicom_segmentation(
    regions: NDArray[np.bool_], source: SourceSeries, model: str, model_version: str, edited: bool = False
) -> Segmentation:
    """Return the regions as three overlapping binary segments of one DICOM object.

    Patient, study and frame of reference are the source's, and every frame refers to its slice of the source. Slices
    without a region have no frame of it; if there is no tumor at all, all frames are present and empty.

    Args:
        regions: Regions (3, z, y, x) in the order of `REGIONS`, on the source's grid.
        source: Series that was segmented.
        model: Name of the model.
        model_version: Version of the model.
        edited: Whether somebody has corrected the regions.
    """
    algorithm = algorithm_identification(model, model_version)
    return Segmentation(
        source_images=source.headers,
        pixel_array=np.moveaxis(regions, 0, -1)[source.slice_order],
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, name, algorithm, edited) for number, name in enumerate(REGIONS, 1)],
        series_instance_uid=highdicom.UID(),
        series_number=source.series_number(_SERIES_NUMBER_OFFSET),
        series_description="Token-UNet tumor segmentation",
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        content_label="TUMOR",
        omit_empty_frames=bool(regions.any()),  # an object needs at least one frame
        content_description="Nested regions of a brain tumor, for research only",
        **EQUIPMENT,
    )


def algorithm_identification(model: str, version: str) -> highdicom.AlgorithmIdentificationSequence:
    """Return how DICOM names a model."""
    return highdicom.AlgorithmIdentificationSequence(
        model[:LONGEST_NAME], codes.cid7162.ArtificialIntelligence, version
    )


def coded(code: Code) -> highdicom.sr.CodedConcept:
    """Return a code as highdicom takes it."""
    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _description(
    number: int, name: RegionName, algorithm: highdicom.AlgorithmIdentificationSequence, edited: bool
) -> SegmentDescription:
    style = REGION_STYLES[name]
    return SegmentDescription(
        segment_number=number,
        segment_label=style.title,
        segmented_property_category=coded(CATEGORY),
        segmented_property_type=coded(style.code),
        algorithm_type="SEMIAUTOMATIC" if edited else "AUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[coded(ANATOMY)],
        display_color=highdicom.color.CIELabColor.from_rgb(*(255 * c for c in style.color)),
    )
