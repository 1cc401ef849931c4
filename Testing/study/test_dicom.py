import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_fixtures import (
    ACQUISITIONS,
    OTHER_PATIENT_ID,
    PATIENT_ID,
    PATIENT_NAME,
    SAGITTAL,
    TILTED,
    VALUES,
    assert_reads_as,
    slices,
    tilted_scan,
    truncate,
    write_datasets,
    write_dicom_study,
    written,
)
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage
from tokenunet.core.errors import MixedPatientsError, UnreadableImageError, UnusableImageError
from tokenunet.core.sequences import SEQUENCES
from tokenunet.study.dicom import find_series, read_series

GENERATOR = np.random.default_rng(0)


def test_a_study_in_random_files_is_read_as_it_was(tmp_path: Path) -> None:
    paths = write_dicom_study(tmp_path)
    for other in ("readme.txt", "A/t1.nii", "B/.hidden.dcm", "empty"):
        (tmp_path / other).write_bytes(b"" if other == "empty" else b"no DICOM")
    by_files = {series.files: series for series in find_series(tmp_path) if not series.excluded}
    assert len(by_files) == 4
    for sequence in SEQUENCES:
        series = by_files[tuple(paths[sequence])]
        assert series.tags.description == ACQUISITIONS[sequence]["SeriesDescription"]
        assert series.tags.echo_time == ACQUISITIONS[sequence]["EchoTime"]
        assert series.tags.contrast_agent == ACQUISITIONS[sequence].get("ContrastBolusAgent", "")
        scan = read_series(series)
        assert scan.image.GetSize() == (60, 60, 39)
        assert series.tags.description in scan.source
        assert PATIENT_NAME not in repr(series) + scan.source


@pytest.mark.parametrize("direction", [(1.0, 0, 0, 0, 1, 0, 0, 0, 1), SAGITTAL, TILTED], ids=["axial", "sag", "tilted"])
def test_values_and_place_are_right_in_any_direction(tmp_path: Path, direction: tuple[float, ...]) -> None:
    assert_reads_as(written(tmp_path, slices(scan=tilted_scan(direction))), tilted_scan(direction))


def test_a_slope_is_applied(tmp_path: Path) -> None:
    assert_reads_as(
        written(tmp_path, slices(scan=tilted_scan(values=VALUES * 0.25), slope=0.25)), tilted_scan(values=VALUES * 0.25)
    )


def test_slopes_may_differ_from_slice_to_slice(tmp_path: Path) -> None:
    datasets = slices()
    for k, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = str(1 if k == 0 else 0.5 + k), "0", "US"
    factors = np.array([1] + [0.5 + k for k in range(1, len(datasets))])[:, None, None]
    assert_reads_as(written(tmp_path, datasets), tilted_scan(values=(VALUES * factors).astype(np.float32)))


def test_the_checksum_is_of_all_files_in_their_order(tmp_path: Path) -> None:
    series = written(tmp_path, slices())
    before = read_series(series).sha256
    assert before == read_series(find_series(tmp_path)[0]).sha256
    data = bytearray(series.files[5].read_bytes())
    data[-1] ^= 1
    series.files[5].write_bytes(data)
    assert read_series(series).sha256 != before


def test_a_copied_slice_is_left_out_and_said(tmp_path: Path) -> None:
    write_dicom_study(tmp_path)
    findings = [finding for series in find_series(tmp_path) for finding in series.findings]
    assert [f.code for f in findings] == ["duplicate_slice"]
    assert "t2_tse_tra” holds a slice twice" in findings[0].message


def test_different_images_of_one_place_are_a_problem(tmp_path: Path) -> None:
    datasets = slices()
    other = slices(scan=tilted_scan(values=VALUES[::-1].copy()))[3]
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.99"
    series = written(tmp_path, [*datasets, other])
    assert "different images of the same place" in series.problem
    with pytest.raises(UnusableImageError, match=r"t2_tse_tra.*same place"):
        read_series(series)


def test_echoes_of_one_series_become_two_volumes(tmp_path: Path) -> None:
    first, second = slices({"EchoTime": 12}), slices({"EchoTime": 98}, tilted_scan(values=VALUES[::-1].copy()))
    for k, dataset in enumerate(second):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.5.{k}"
    write_datasets([*first, *second], tmp_path, GENERATOR)
    one, other = sorted(find_series(tmp_path), key=lambda series: series.tags.echo_time or 0)
    assert (one.tags.echo_time, other.tags.echo_time) == (12, 98)
    assert "echo time 12" in one.name
    assert_reads_as(one, tilted_scan())
    assert_reads_as(other, tilted_scan(values=VALUES[::-1].copy()))


def test_a_localizer_is_set_aside(tmp_path: Path) -> None:
    write_dicom_study(tmp_path)
    reasons = {series.tags.description: series.excluded for series in find_series(tmp_path) if series.excluded}
    assert reasons == {"localizer": "It is a localizer."}


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "Text is drawn into"),
        ({"Modality": "CT"}, "CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
    ],
)
def test_what_is_no_scan_is_set_aside(tmp_path: Path, attributes: dict[str, Any], reason: str) -> None:
    assert reason in written(tmp_path, slices(attributes)).excluded


def test_a_picture_of_a_screen_is_set_aside(tmp_path: Path) -> None:
    datasets = slices()
    for dataset in datasets:
        dataset.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    assert "screen" in written(tmp_path, datasets).excluded


def test_directions_that_differ_and_few_slices_are_set_aside(tmp_path: Path) -> None:
    crossing = slices()[:6] + slices(scan=tilted_scan(SAGITTAL))[:6]
    for k, dataset in enumerate(crossing):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.6.{k}"
    assert "2 directions" in written(tmp_path / "crossing", crossing).excluded
    assert "only 5 slices" in written(tmp_path / "few", slices()[:5]).excluded


def test_a_missing_slice_is_named_with_its_series_and_place(tmp_path: Path) -> None:
    paths = write_dicom_study(tmp_path, without_a_slice="FLAIR")["FLAIR"]
    (series,) = (s for s in find_series(tmp_path) if s.problem)
    with pytest.raises(UnusableImageError, match=r"dark-fluid.*8 instead of 4 mm between slices 19 and 20") as caught:
        read_series(series)
    assert paths[18].name in str(caught.value)
    assert paths[19].name in str(caught.value)


def test_rounded_positions_are_no_missing_slices(tmp_path: Path) -> None:
    datasets = slices()
    for dataset in datasets:
        dataset.ImagePositionPatient = [f"{float(v):.1f}" for v in dataset.ImagePositionPatient]
    assert written(tmp_path, datasets).problem == ""


def test_shifted_slices_are_a_problem(tmp_path: Path) -> None:
    datasets = slices(scan=tilted_scan((1.0, 0, 0, 0, 1, 0, 0, 0, 1)))
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient[0] = f"{float(dataset.ImagePositionPatient[0]) + k:g}"
    assert "shifted against each other by up to 11 mm" in written(tmp_path, datasets).problem


@pytest.mark.parametrize("kept", [0.1, 0.4, 0.6, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, kept: float) -> None:
    path = write_datasets(slices(), tmp_path, GENERATOR)[4]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(UnreadableImageError, match=path.name):
        find_series(tmp_path)


def test_a_file_damaged_after_it_was_found_is_named(tmp_path: Path) -> None:
    series = written(tmp_path, slices())
    truncate(series.files[7])
    with pytest.raises(UnreadableImageError, match=series.files[7].name):
        read_series(series)
    series.files[7].unlink()
    with pytest.raises(UnreadableImageError, match=series.files[7].name):
        read_series(series)


@pytest.mark.parametrize("broken", [rb"0.189796061 -0.142763701", rb"        inf\-0.142763701"])
def test_an_orientation_that_is_none_is_a_problem_of_the_series(tmp_path: Path, broken: bytes) -> None:
    series = written(tmp_path, slices())
    for file in series.files:
        data = file.read_bytes()
        assert rb"0.189796061\-0.142763701" in data
        file.write_bytes(data.replace(rb"0.189796061\-0.142763701", broken))
    assert find_series(tmp_path)[0].problem


def test_patients_in_one_folder_are_named_by_their_ids_only(tmp_path: Path) -> None:
    write_dicom_study(tmp_path, mixed_patients=True)
    with pytest.raises(MixedPatientsError, match=f"2 patients: {PATIENT_ID}, {OTHER_PATIENT_ID}") as caught:
        find_series(tmp_path)
    assert "Doe" not in str(caught.value)
    assert "Roe" not in str(caught.value)


def test_text_in_latin_1_is_read(tmp_path: Path) -> None:
    series = written(tmp_path, slices({"SpecificCharacterSet": "ISO_IR 100", "SeriesDescription": "t2 après"}))
    assert series.tags.description == "t2 après"


def test_a_study_of_many_files_is_found_in_seconds(tmp_path: Path) -> None:
    scan = sitk.GetImageFromArray(np.ones((160, 64, 64), np.float32))
    write_dicom_study(tmp_path, images=dict.fromkeys(SEQUENCES, scan))
    start = time.process_time()
    assert len(find_series(tmp_path)) == 5
    assert time.process_time() - start < 4  # 0.8 s on two cores
