"""Segmentation, measurements and key slices as DICOM, read back and checked against the standard."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_checks import complaints, needs_dciodvfy
from dicom_fixtures import MADE, PATIENT_ID, write_dicom_study
from highdicom import sr
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from scan_fixtures import synthetic_images
from tokenunet.core.errors import OutputError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.dicom_out.export import DicomResult, write_dicom_result, write_segmentation
from tokenunet.io.result_files import DICOM_SEG, DICOM_SR
from tokenunet.measurement import lesion_diameters


def nested_balls(grid: Grid) -> NDArray[np.bool_]:
    """Two lesions, of which only the larger one is measurable."""
    z, y, x = np.indices(grid.size[::-1]) * np.reshape(grid.spacing[::-1], (3, 1, 1, 1))
    middle = np.multiply(grid.size, grid.spacing) / 2
    distance = np.sqrt((x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2)
    small = np.sqrt((x - middle[0] - 36) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2) < 4.5
    return np.stack([(distance < 25) | small, distance < 17, (distance < 17) & (distance > 8)])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DicomResult:
    scan = synthetic_images()["T1ce"]
    files = write_dicom_study(tmp_path_factory.mktemp("study"))["T1ce"]
    return DicomResult(scan, nested_balls(Grid.of(scan)), files, "Tiny Token-UNet", "1.2", MADE)


@pytest.fixture(scope="module")
def exported(result: DicomResult, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_dicom_result(result, tmp_path_factory.mktemp("dicom"))


def test_export_is_in_the_study_and_in_series_of_its_own(exported: list[Path], result: DicomResult) -> None:
    source = pydicom.dcmread(result.source_files[0])
    objects = [pydicom.dcmread(path) for path in exported]
    assert {o.StudyInstanceUID for o in objects} == {source.StudyInstanceUID}
    assert {o.PatientID for o in objects} == {PATIENT_ID}
    assert [o.Modality for o in objects] == ["SEG", "SR", *["OT"] * (len(objects) - 2)]
    assert len({o.SOPInstanceUID for o in objects}) == len(objects) >= 3
    assert len({o.SeriesInstanceUID for o in objects} | {source.SeriesInstanceUID}) == 4


def test_export_of_an_unchanged_result_is_equal_byte_for_byte(
    exported: list[Path], result: DicomResult, tmp_path: Path
) -> None:
    again = write_dicom_result(result, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in exported]
    write_segmentation(result, tmp_path / "alone.dcm")
    assert (tmp_path / "alone.dcm").read_bytes() == exported[0].read_bytes()
    written = pydicom.dcmread(exported[0])
    assert (written.ContentDate, written.ContentTime) == tuple(MADE.astimezone().strftime("%Y%m%d %H%M%S").split())
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID


@pytest.mark.parametrize("change", ["regions", "model_version", "made"])
def test_export_of_a_changed_result_has_new_uids(
    exported: list[Path], result: DicomResult, change: str, tmp_path: Path
) -> None:
    shrunk = result.regions & (np.arange(result.regions.shape[-1]) > 60)
    values = {"regions": shrunk, "model_version": "1.3", "made": MADE + timedelta(minutes=1)}
    source = pydicom.dcmread(result.source_files[0])
    changed = write_dicom_result(replace(result, **{change: values[change]}), tmp_path)
    before, after = (
        {uid for path in paths for uid in uids_of(path) if uid.startswith("2.25.")} for paths in (exported, changed)
    )
    if change == "model_version":  # which key slices do not name
        assert [path.read_bytes() for path in changed[2:]] == [path.read_bytes() for path in exported[2:]]
        before -= set(uids_of(exported[2]))
    assert not before & after
    assert {source.SOPInstanceUID, source.StudyInstanceUID} <= set(uids_of(changed[0]))


def uids_of(path: Path) -> list[str]:
    found: list[str] = []
    pydicom.dcmread(path).walk(lambda _, element: found.append(str(element.value)) if element.VR == "UI" else None)
    return found


def test_report_gives_back_volumes_and_diameters(exported: list[Path], result: DicomResult) -> None:
    folder = exported[0].parent
    report = sr.srread(folder / DICOM_SR)
    segmentation = highdicom.seg.segread(folder / DICOM_SEG)
    grid = Grid.of(result.scan)
    volumes = report.content.get_volumetric_roi_measurement_groups()
    for number, (group, name) in enumerate(zip(volumes, REGIONS, strict=True), start=1):
        assert group.tracking_identifier == REGION_STYLES[name].title
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert reference.referenced_segment_numbers == [number]
        series = pydicom.dcmread(result.source_files[0]).SeriesInstanceUID
        assert reference.source_series_for_segmentation.value == series
        (volume,) = group.get_measurements(name=codes.SCT.Volume)
        expected = np.count_nonzero(result.regions[number - 1]) * grid.voxel_ml
        assert (volume.value, volume.unit.value) == (pytest.approx(expected, abs=1e-3), "ml")
    lesions = [*lesion_diameters(result.regions[0], grid), *lesion_diameters(result.regions[2], grid)]
    groups = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["whole tumor 1", "whole tumor 2", "enhancing tumor 1"]
    for group, lesion in zip(groups, lesions, strict=True):
        assert group.method == codes.cid6147.RANO
        (evaluation,) = [e for e in group.get_qualitative_evaluations() if e.name.scheme_designator == "99TOKENUNET"]
        assert evaluation.value.meaning == ("Yes" if lesion.is_measurable else "No")
        lines = zip(group.get_measurements(), (lesion.longest, lesion.perpendicular), strict=True)
        for measurement, line in lines:
            assert measurement.value == pytest.approx(line.length_mm, abs=0.01)
            (coordinates,) = measurement.referenced_coordinates
            np.testing.assert_allclose(coordinates.value, [line.start, line.end], atol=1e-3)
            assert coordinates.frame_of_reference_uid == segmentation.FrameOfReferenceUID


def test_key_slices_are_marked_as_derived_and_burned_in(exported: list[Path]) -> None:
    for path in exported[2:]:
        image = pydicom.dcmread(path)
        assert image.BurnedInAnnotation == "YES"
        assert image.ImageType[0] == "DERIVED"
        assert "not for diagnosis" in image.SeriesDescription
        assert "not for diagnosis" in image.ImageComments
        pixels = image.pixel_array
        assert pixels.shape == (768, 768, 3)
        colored = np.ptp(pixels.astype(int), axis=-1) > 60
        assert colored.sum() > 500, "outlines and the legend have colors"


def check(paths: list[Path]) -> None:
    """Nothing is wrong but that dciodvfy does not know this project's own code of measurability."""
    for path, kind in zip(paths, ["Segmentation", "Comprehensive3DSR", *["SCImage"] * (len(paths) - 2)], strict=True):
        own = "Unrecognized defined term = <99TOKENUNET>"
        assert [line for line in complaints(path, kind) if own not in line] == []


@needs_dciodvfy
def test_export_keeps_to_the_standard(exported: list[Path]) -> None:
    check(exported)


@needs_dciodvfy
def test_export_without_a_tumor_or_enhancing_tumor_keeps_to_the_standard(result: DicomResult, tmp_path: Path) -> None:
    empty = DicomResult(result.scan, result.regions & False, result.source_files, "Tiny", "1", MADE, unclaimed=("ET",))
    paths = write_dicom_result(empty, tmp_path)
    report = sr.srread(paths[1])
    assert len(report.content.get_volumetric_roi_measurement_groups()) == 2, "enhancing tumor was not segmented"
    assert report.content.get_image_measurement_groups() == []
    check(paths)


def test_export_that_cannot_be_written_leaves_nothing(result: DicomResult) -> None:
    with pytest.raises(OutputError):
        write_dicom_result(result, Path("/proc/dicom"))
