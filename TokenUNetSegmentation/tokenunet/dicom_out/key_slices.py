"""Secondary Capture series of key slices with outlines and numbers, for viewers that display no segmentations."""

from collections.abc import Iterator

import highdicom
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tokenunet.dicom_out.source import EQUIPMENT, SourceSeries
from tokenunet.report.key_slices import RESEARCH_ONLY, burned_pictures
from tokenunet.report.measured import MeasuredPatient

_SERIES_NUMBER_OFFSET = 3000


def dicom_key_slices(patient: MeasuredPatient, source: SourceSeries) -> Iterator[SCImage]:
    """Yield the key slices of a patient as images of one series.

    They say that they are derived, that numbers are burned in, and that they are for research only.

    Args:
        patient: Patient on the source's grid.
        source: Series that was segmented.
    """
    series = highdicom.UID()
    for number, (key, picture) in enumerate(burned_pictures(patient), start=1):
        image = SCImage.from_ref_dataset(
            source.first,
            picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            series_instance_uid=series,
            series_number=source.series_number(_SERIES_NUMBER_OFFSET),
            series_description="Token-UNet key slices, research only, not for diagnosis",
            sop_instance_uid=highdicom.UID(),
            instance_number=number,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **EQUIPMENT,
        )
        image.BodyPartExamined = "BRAIN"
        image.BurnedInAnnotation = "YES"
        image.DerivationDescription = "Outlines of a segmentation and measurements drawn on a slice"
        image.ImageComments = f"{key.title(patient)}. {RESEARCH_ONLY}."
        reference = Dataset()
        reference.ReferencedSOPClassUID = source.first.SOPClassUID
        reference.ReferencedSOPInstanceUID = source.first.SOPInstanceUID
        image.SourceImageSequence = [reference]
        yield image
