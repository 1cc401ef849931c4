"""A clinical study as a scanner's archive hands it over: a synthetic patient as DICOM files in no order."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scan_fixtures import synthetic_images
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.study.dicom import DicomSeries, find_series, read_series

PATIENT_ID, PATIENT_NAME = "SYNTH-0001", "Doe^Jane"
OTHER_PATIENT_ID = "SYNTH-0002"
MADE = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
"""Time of a result."""

ACQUISITIONS: dict[SequenceName, dict[str, Any]] = {
    "T1": {
        "SeriesDescription": "t1_se_tra",
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "RepetitionTime": 550,
        "EchoTime": 9,
        "FlipAngle": 90,
        "SeriesNumber": 3,
        "AcquisitionTime": "101000",
    },
    "T1ce": {
        "SeriesDescription": "t1_se_tra",  # a technician who copied the protocol: only the agent tells it from T1
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "RepetitionTime": 550,
        "EchoTime": 9,
        "FlipAngle": 90,
        "ContrastBolusAgent": "Gadobutrol",
        "SeriesNumber": 9,
        "AcquisitionTime": "103000",
    },
    "T2": {
        "SeriesDescription": "t2_tse_tra",
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "RepetitionTime": 4500,
        "EchoTime": 98,
        "EchoTrainLength": 15,
        "FlipAngle": 150,
        "SeriesNumber": 4,
        "AcquisitionTime": "101500",
    },
    "FLAIR": {
        "SeriesDescription": "t2_tirm_tra_dark-fluid",
        "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": "SK",
        "RepetitionTime": 9000,
        "EchoTime": 120,
        "InversionTime": 2500,
        "EchoTrainLength": 19,
        "FlipAngle": 150,
        "SeriesNumber": 5,
        "AcquisitionTime": "102000",
    },
}


def write_dicom_study(
    folder: Path,
    *,
    images: dict[SequenceName, sitk.Image] | None = None,
    seed: int = 1,
    slope: float = 1.0,
    truncated: SequenceName | None = None,
    without_a_slice: SequenceName | None = None,
    mixed_patients: bool = False,
    acquisitions: dict[SequenceName, dict[str, Any]] | None = None,
) -> dict[SequenceName, list[Path]]:
    """Writes four series, a localizer and a duplicated slice of T2 under random names into two subfolders.

    Args:
        folder: made if it does not exist.
        images: by sequence; those of a synthetic patient of 4 mm when left out.
        seed: of that patient, the file names and the UIDs.
        slope: what the files say their stored values are to be multiplied by.
        truncated: the series whose middle file ends early.
        without_a_slice: the series that lacks one slice in its middle.
        mixed_patients: T2 belongs to another patient.
        acquisitions: attributes by sequence in the place of those of `ACQUISITIONS`.

    Returns:
        The files of each sequence, without the duplicate, in the order of the image's slices.
    """
    generator = np.random.default_rng(seed)
    common = {"StudyInstanceUID": _uid("study", seed), "FrameOfReferenceUID": _uid("frame", seed)}
    written: dict[SequenceName, list[Path]] = {}
    for sequence, image in (images or _patient(seed)).items():
        attributes = common | (acquisitions or ACQUISITIONS)[sequence]
        if mixed_patients and sequence == "T2":
            attributes |= {"PatientID": OTHER_PATIENT_ID, "PatientName": "Roe^Richard"}
        datasets = series_datasets(image, _uid(sequence, seed), attributes, slope)
        if sequence == without_a_slice:
            del datasets[len(datasets) // 2]
        written[sequence] = write_datasets(datasets, folder, generator)
        if sequence == "T2":
            middle = datasets[len(datasets) // 2]
            middle.SOPInstanceUID = middle.file_meta.MediaStorageSOPInstanceUID = _uid("duplicate", seed)
            middle.InstanceNumber = len(datasets) + 1
            write_datasets([middle], folder, generator)
    write_localizer(folder, common, generator)
    if truncated is not None:
        truncate(written[truncated][len(written[truncated]) // 2])
    return written


def write_localizer(folder: Path, attributes: dict[str, Any], generator: np.random.Generator) -> list[Path]:
    """Writes three slices, one in each direction."""
    attributes = attributes | {
        "SeriesDescription": "localizer",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D", "LOCALIZER"],
        "ScanningSequence": "GR",
        "SequenceVariant": "SP",
        "RepetitionTime": 8.6,
        "EchoTime": 4,
        "FlipAngle": 20,
        "SeriesNumber": 1,
        "AcquisitionTime": "100500",
    }
    values = generator.integers(0, 500, (1, 64, 64)).astype(np.float32)
    datasets: list[Dataset] = []
    for number, axes in enumerate(((0, 1, 2), (1, 2, 0), (0, 2, 1)), 1):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((4.0, 4.0, 5.0))
        image.SetDirection(np.eye(3)[list(axes)].T.ravel())
        datasets += series_datasets(image, _uid("localizer", 0), attributes)
        datasets[-1].InstanceNumber = number
        datasets[-1].SOPInstanceUID = datasets[-1].file_meta.MediaStorageSOPInstanceUID = _uid("localizer", number)
    return write_datasets(datasets, folder, generator)


def series_datasets(
    image: sitk.Image, series_uid: str, attributes: dict[str, Any], slope: float = 1.0
) -> list[Dataset]:
    """One MR image for each slice of an image, whatever its direction.

    Args:
        image: values from 0 to ``65535 * slope``.
        series_uid: of the series; the instances' UIDs follow from it.
        attributes: by keyword, over the defaults for a patient and a study.
        slope: what the files say their stored values are to be multiplied by.
    """
    stored = np.round(sitk.GetArrayFromImage(image) / slope).astype(np.uint16)
    return [_slice_dataset(stored[k], k, Grid.of(image), series_uid, attributes, slope) for k in range(len(stored))]


def _slice_dataset(
    pixels: NDArray[np.uint16], k: int, grid: Grid, series_uid: str, attributes: dict[str, Any], slope: float
) -> Dataset:
    direction = np.reshape(grid.direction, (3, 3))
    position = grid.index_to_lps @ (0, 0, k, 1)
    dataset = Dataset()
    for keyword, value in (_DEFAULTS | attributes).items():
        setattr(dataset, keyword, value)
    dataset.SeriesInstanceUID = series_uid
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = _uid(series_uid, k)
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = [f"{v:.9g}" for v in position[:3]]
    dataset.ImageOrientationPatient = [f"{v:.9g}" for v in (*direction[:, 0], *direction[:, 1])]
    dataset.PixelSpacing = [f"{v:.9g}" for v in (grid.spacing[1], grid.spacing[0])]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{grid.spacing[2]:.9g}"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    if slope != 1:
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = f"{slope:.9g}", 0, "US"
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_datasets(datasets: list[Dataset], folder: Path, generator: np.random.Generator) -> list[Path]:
    """Writes each under a random name, with or without an ending, into one of two subfolders."""
    paths: list[Path] = []
    for dataset in datasets:
        name = generator.bytes(6).hex() + str(generator.choice(["", ".dcm", ".IMA"]))
        paths.append(folder / str(generator.choice(["A", "B"])) / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def truncate(path: Path) -> None:
    """Cuts a file in the middle of its pixels."""
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])


_DEFAULTS: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"],
    "StudyDate": "20260102",
    "SeriesDate": "20260102",
    "AcquisitionDate": "20260102",
    "StudyTime": "100000",
    "AccessionNumber": "",
    "Modality": "MR",
    "Manufacturer": "Synthetic",
    "ReferringPhysicianName": "",
    "StudyDescription": "MR head",
    "PatientName": PATIENT_NAME,
    "PatientID": PATIENT_ID,
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": "Synthetic patient",
    "BodyPartExamined": "BRAIN",
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "EchoTrainLength": 1,
    "MagneticFieldStrength": "3",
    "PatientPosition": "HFS",
    "StudyID": "1",
    "PositionReferenceIndicator": "",
}


def _uid(*entropy: object) -> str:
    return generate_uid(entropy_srcs=[str(part) for part in entropy])


@cache
def _patient(seed: int) -> dict[SequenceName, sitk.Image]:
    return synthetic_images(seed)


# One series, to be read as it was.

_GENERATOR = np.random.default_rng(0)
VALUES = _GENERATOR.integers(0, 4000, (12, 24, 20)).astype(np.float32)
TILTED = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.15).GetMatrix()
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
T2 = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"} | ACQUISITIONS["T2"]


def tilted_scan(direction: tuple[float, ...] = TILTED, values: np.ndarray = VALUES) -> sitk.Image:
    made = sitk.GetImageFromArray(values)
    made.SetSpacing((1.1, 0.9, 5.5))
    made.SetOrigin((-20.5, 30.25, -41.0))
    made.SetDirection(direction)
    return made


def written(folder: Path, datasets: list[Dataset]) -> DicomSeries:
    """The only series after these were written in random order."""
    write_datasets([datasets[i] for i in _GENERATOR.permutation(len(datasets))], folder, _GENERATOR)
    (series,) = find_series(folder)
    return series


def slices(attributes: dict[str, Any] | None = None, scan: sitk.Image | None = None, slope: float = 1) -> list[Dataset]:
    return series_datasets(scan or tilted_scan(), "1.2.3.4", T2 | (attributes or {}), slope)


def assert_reads_as(series: DicomSeries, expected: sitk.Image) -> None:
    scan = read_series(series)
    np.testing.assert_allclose(sitk.GetArrayFromImage(scan.image), sitk.GetArrayFromImage(expected), rtol=1e-6)
    assert Grid.of(scan.image).same_as(Grid.of(expected))
    assert scan.image.GetPixelID() == sitk.sitkFloat32
