"""A folder: DICOM, files, or both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_fixtures import ACQUISITIONS, series_datasets, write_datasets, write_dicom_study
from pydicom import dcmread
from scan_fixtures import REAL_PATIENT, needs_real_patient, synthetic_images, write_study
from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, MixedPatientsError, UnusableImageError
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.dicom import DicomSeries
from tokenunet.study.find import find_study
from tokenunet.study.found_study import FoundStudy


def places(found: FoundStudy) -> dict[SequenceName, Any]:
    return {
        s: list(scan.place.files) if isinstance(scan.place, DicomSeries) else scan.place
        for s, scan in found.scans.items()
    }


def test_a_dicom_study_is_found_and_read(tmp_path: Path) -> None:
    paths = write_dicom_study(tmp_path)
    found = find_study(tmp_path)
    assert places(found) == paths
    assert found.excluded == {"1 “localizer”": "It is a localizer."}
    assert [f.code for f in found.findings] == ["duplicate_slice"]
    scans = found.read().scans
    for sequence, image in synthetic_images(1).items():
        np.testing.assert_array_equal(sitk.GetArrayFromImage(scans[sequence].image), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("where", ["", "anat"])
def test_files_are_found_by_name(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir(exist_ok=True)
    paths = write_study(tmp_path / where)
    (tmp_path / where / "patient_seg.nii.gz").touch()
    (tmp_path / where / "t1.txt").touch()
    assert places(find_study(tmp_path)) == paths


def test_folders_may_speak_for_their_files(tmp_path: Path) -> None:
    expected: dict[SequenceName, Path] = {}
    for sequence, path in write_study(tmp_path).items():
        (tmp_path / sequence).mkdir()
        expected[sequence] = path.rename(tmp_path / sequence / "image.nii.gz")
    assert places(find_study(tmp_path)) == expected


def test_files_without_names_are_found_by_their_looks(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    expected = {s: p.rename(tmp_path / f"{n}.nii.gz") for (s, p), n in zip(paths.items(), "dbca", strict=True)}
    found = find_study(tmp_path)
    assert places(found) == expected
    assert {f.code for f in found.findings} == {"uncertain_sequence"}


def test_files_that_tell_all_four_go_before_series(tmp_path: Path) -> None:
    write_dicom_study(tmp_path / "dicom")
    paths = write_study(tmp_path)
    assert places(find_study(tmp_path)) == paths
    paths["FLAIR"].unlink()
    assert isinstance(find_study(tmp_path).scans["FLAIR"].place, DicomSeries)


def test_two_files_of_one_name_are_ambiguous_unless_one_is_given(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    again = tmp_path / "again_t1gd.nrrd"
    again.touch()
    with pytest.raises(AmbiguousSequenceError, match=r"again_t1gd.nrrd and patient_t1ce.nii.gz .* look like T1ce"):
        find_study(tmp_path)
    assert places(find_study(tmp_path, {"T1ce": paths["T1ce"]})) == paths


def test_of_two_versions_of_all_four_the_plain_one_is_taken_and_the_other_told(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    for path in paths.values():
        path.with_name(path.name.replace(".nii", "_bias.nii")).write_bytes(path.read_bytes())
    found = find_study(tmp_path)
    assert places(found) == paths
    (finding,) = found.findings
    assert finding.code == "passed_over"
    assert "patient_t1ce_bias.nii.gz" in finding.message
    (tmp_path / "patient_t2_bias.nii.gz").unlink()
    with pytest.raises(AmbiguousSequenceError):
        find_study(tmp_path)


@pytest.mark.parametrize("name", ["patient_GlistrBoost.nii.gz", "patient_segm.nii.gz", "drawn.nii.gz"])
def test_a_mask_never_takes_the_place_of_a_missing_scan(name: str, tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    labels = sitk.ReadImage(paths["T1"]) > 300
    paths["T1ce"].unlink()
    sitk.WriteImage(labels, tmp_path / name)
    with pytest.raises(MissingSequenceError, match="No T1ce"):
        find_study(tmp_path)


def test_where_no_series_can_be_a_scan_each_is_named_with_its_reason(tmp_path: Path) -> None:
    for path in write_dicom_study(tmp_path)["T1"]:
        path.unlink()
    for file in tmp_path.rglob("*"):
        if file.is_file() and "LOCALIZER" not in str(dcmread(file).get("ImageType", "")):
            file.unlink()
    with pytest.raises(MissingSequenceError, match="“localizer”: It is a localizer"):
        find_study(tmp_path)


def test_several_patients_in_subfolders_are_ambiguous(tmp_path: Path) -> None:
    for patient in ("one", "two"):
        (tmp_path / patient).mkdir()
        write_study(tmp_path / patient)
    with pytest.raises(AmbiguousSequenceError, match=r"one.patient_t1.nii.gz and two.patient_t1.nii.gz"):
        find_study(tmp_path)


def test_a_missing_file_is_named_with_what_is_there(tmp_path: Path) -> None:
    write_study(tmp_path)["FLAIR"].unlink()
    with pytest.raises(MissingSequenceError, match=r"No FLAIR .* patient_t1.nii.gz \(T1\)"):
        find_study(tmp_path)
    with pytest.raises(MissingSequenceError, match="no folder"):
        find_study(tmp_path / "none")


def given_file(paths: dict[SequenceName, list[Path]]) -> Path:
    return paths["T1ce"][7]


def given_nifti(paths: dict[SequenceName, list[Path]]) -> Path:
    path = paths["T1"][0].parents[1] / "mine.nii.gz"
    sitk.WriteImage(synthetic_images(2)["T1"], path)
    return path


@pytest.mark.parametrize("give", [given_file, given_nifti])
def test_what_is_given_overrules_the_series(
    tmp_path: Path, give: Callable[[dict[SequenceName, list[Path]]], Path]
) -> None:
    paths = write_dicom_study(tmp_path)
    path = give(paths)
    found = find_study(tmp_path, {"T1ce": paths["T1"][0], "T1": path})
    assert places(found) == paths | {"T1ce": paths["T1"], "T1": paths["T1ce"] if give is given_file else path}
    assert found.scans["T1"].confidence == 1


def test_a_series_that_was_given_is_not_taken_for_another_sequence_too(tmp_path: Path) -> None:
    paths = write_dicom_study(tmp_path)
    with pytest.raises(MissingSequenceError, match="No T1 was found"):
        find_study(tmp_path, {"T2": paths["T1"][0]})


def test_a_series_that_lacks_a_slice_is_named(tmp_path: Path) -> None:
    write_dicom_study(tmp_path, without_a_slice="T1ce")
    with pytest.raises(UnusableImageError, match=r"9 “t1_se_tra” .*8 instead of 4 mm"):
        find_study(tmp_path)


def test_a_whole_series_is_chosen_in_the_place_of_one_that_lacks_a_slice(tmp_path: Path) -> None:
    write_dicom_study(tmp_path, without_a_slice="T1ce")
    uids = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "SeriesNumber": 12}
    again = series_datasets(synthetic_images(1)["T1ce"], "1.2.3.4", ACQUISITIONS["T1ce"] | uids)
    paths = write_datasets(again, tmp_path, np.random.default_rng(9))
    found = find_study(tmp_path)
    assert places(found)["T1ce"] == paths
    assert "passed_over" in {f.code for f in found.findings}


def test_the_newer_complete_study_of_two_is_taken(tmp_path: Path) -> None:
    older = {s: a | {"StudyDate": "20250101", "AcquisitionDate": "20250101"} for s, a in ACQUISITIONS.items()}
    write_dicom_study(tmp_path / "old", seed=2, acquisitions=older)
    paths = write_dicom_study(tmp_path / "new", seed=1)
    found = find_study(tmp_path)
    assert places(found) == paths
    assert [f.message for f in found.findings if f.code == "several_studies"] == [
        f"{tmp_path} holds studies of 20250101, 20260102; that of 20260102 was taken."
    ]
    for path in paths["T2"]:
        path.unlink()
    assert places(find_study(tmp_path))["T1"][0].is_relative_to(tmp_path / "old")


def test_patients_are_not_mixed(tmp_path: Path) -> None:
    write_dicom_study(tmp_path, mixed_patients=True)
    with pytest.raises(MixedPatientsError):
        find_study(tmp_path)


@needs_real_patient
@pytest.mark.parametrize("copy", ["raw", "brats_space"])
def test_a_real_patient_is_told_by_names_and_by_looks(copy: str, tmp_path: Path) -> None:
    by_name = places(find_study(REAL_PATIENT / copy))
    assert list(by_name) == list(SEQUENCES)
    linked: dict[SequenceName, Path] = {}
    for sequence, letter in zip(SEQUENCES, "dbca", strict=True):
        linked[sequence] = tmp_path / f"{letter}.nii.gz"
        linked[sequence].symlink_to(by_name[sequence])
    found = find_study(tmp_path)
    by_looks = places(found)
    assert (by_looks["T2"], by_looks["FLAIR"]) == (linked["T2"], linked["FLAIR"])
    # T1 and T1ce look much the same to the program, so that the user is asked.
    assert {by_looks["T1"], by_looks["T1ce"]} == {linked["T1"], linked["T1ce"]}
    assert max(found.scans[s].confidence for s in ("T1", "T1ce")) < 0.5
    assert len([f for f in found.findings if f.code == "uncertain_sequence"]) == 4


def test_find_study_says_to_unpack_archives(tmp_path: Path) -> None:
    archive = tmp_path / "export.ZIP"
    archive.touch()
    for place in (archive, tmp_path):
        with pytest.raises(MissingSequenceError, match=r"export.ZIP is an archive") as caught:
            find_study(place)
        assert "npack it" in f"{caught.value} {caught.value.hint}"


def test_find_study_takes_the_folder_of_a_dicomdir(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    (tmp_path / "DICOMDIR").touch()
    assert places(find_study(tmp_path / "DICOMDIR")) == paths


def test_find_study_names_broken_links(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    (tmp_path / "old.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    (finding,) = find_study(tmp_path).findings
    assert finding.code == "broken_link"
    assert "gone.nii.gz" in finding.message
    paths["T2"].unlink()
    paths["T2"].symlink_to(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(MissingSequenceError, match=r"No T2 .*elsewhere.nii.gz, which does not exist"):
        find_study(tmp_path)
    (tmp_path / "patient").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MissingSequenceError, match=r"patient was ignored: it is a link to .*nowhere"):
        find_study(tmp_path / "patient")
