"""Structured report of volumes and diameters (DICOM PS3.16, TID 1500).

Volumes refer to the segments of the segmentation object (TID 1411). Diameters are lines in the patient's space
(TID 1501), since an axial slice of the result need not be one of the source's.
"""

from collections.abc import Iterator

import highdicom
import numpy as np
from highdicom import sr
from highdicom.seg import Segmentation
from pydicom.sr.codedict import codes

from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.terminology import ANATOMY, CATEGORY, REGION_STYLES
from tokenunet.dicom_out.segmentation import coded
from tokenunet.dicom_out.source import EQUIPMENT, SourceSeries
from tokenunet.measurement import Diameter, LesionDiameters
from tokenunet.report.measured import MeasuredPatient

_SERIES_NUMBER_OFFSET = 2000
_MILLILITER = sr.CodedConcept("ml", "UCUM", "milliliter")
_MR_PROCEDURE = sr.CodedConcept("25056-3", "LN", "MRI Unspecified Body Region")
_MEASURABLE = sr.CodedConcept("measurable", "99TOKENUNET", "Measurable by RANO 2.0")
_YES, _NO = sr.CodedConcept("373066001", "SCT", "Yes"), sr.CodedConcept("373067005", "SCT", "No")


def dicom_measurements(
    patient: MeasuredPatient, segmentation: Segmentation, source: SourceSeries, model: str, model_version: str
) -> sr.Comprehensive3DSR:
    """Return the measurement report of a patient, which refers to the segmentation and to the series.

    Args:
        patient: Patient, of whose lesions the diameters are reported.
        segmentation: Segmentation object of the same regions.
        source: Series that was segmented.
        model: Name of the model.
        model_version: Version of the model.
    """
    algorithm = sr.AlgorithmIdentification(name=model, version=model_version)
    groups = [
        *(_volume(patient, name, segmentation, source, algorithm) for name in patient.claimed),
        *_diameters(patient, source, algorithm),
    ]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                    uid=highdicom.UID(),
                    name="Token-UNet, research only",
                    manufacturer_name=EQUIPMENT["manufacturer"],
                    model_name=EQUIPMENT["manufacturer_model_name"],
                    serial_number=EQUIPMENT["device_serial_number"],
                ),
            )
        ),
        procedure_reported=_MR_PROCEDURE,
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=groups,
    )
    return sr.Comprehensive3DSR(
        evidence=[segmentation, *source.headers],
        content=report[0],
        series_instance_uid=highdicom.UID(),
        series_number=source.series_number(_SERIES_NUMBER_OFFSET),
        series_description="Token-UNet measurements, research only",
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        is_complete=True,
        **EQUIPMENT,
    )


def _volume(
    patient: MeasuredPatient,
    name: RegionName,
    segmentation: Segmentation,
    source: SourceSeries,
    algorithm: sr.AlgorithmIdentification,
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    style = REGION_STYLES[name]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), style.title),
        referenced_segment=sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            REGIONS.index(name) + 1,
            source_series=sr.SourceSeriesForSegmentation(source.first.SeriesInstanceUID),
        ),
        finding_category=coded(CATEGORY),
        finding_type=coded(style.code),
        finding_sites=[sr.FindingSite(coded(ANATOMY))],
        algorithm_id=algorithm,
        measurements=[sr.Measurement(codes.SCT.Volume, round(patient.volume_ml(name), 3), _MILLILITER)],
    )


def _diameters(
    patient: MeasuredPatient, source: SourceSeries, algorithm: sr.AlgorithmIdentification
) -> Iterator[sr.MeasurementsAndQualitativeEvaluations]:
    for name, lesions in patient.lesions.items():
        for number, lesion in enumerate(lesions, start=1):
            yield sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), f"{REGION_STYLES[name].title} {number}"),
                finding_category=coded(CATEGORY),
                finding_type=coded(REGION_STYLES[name].code),
                method=codes.cid6147.RANO,
                finding_sites=[sr.FindingSite(coded(ANATOMY))],
                algorithm_id=algorithm,
                measurements=list(_lines(lesion, source)),
                qualitative_evaluations=[
                    sr.QualitativeEvaluation(_MEASURABLE, _YES if lesion.is_measurable else _NO),
                ],
            )


def _lines(lesion: LesionDiameters, source: SourceSeries) -> Iterator[sr.Measurement]:
    for axis, line in ((codes.SCT.LongAxis, lesion.longest), (codes.SCT.ShortAxis, lesion.perpendicular)):
        yield sr.Measurement(
            axis,
            round(line.length_mm, 2),
            codes.UCUM.Millimeter,
            referenced_coordinates=[_coordinates(line, source.first.FrameOfReferenceUID)],
        )


def _coordinates(line: Diameter, frame_of_reference: str) -> sr.CoordinatesForMeasurement3D:
    return sr.CoordinatesForMeasurement3D("POLYLINE", np.array([line.start, line.end]), frame_of_reference)
