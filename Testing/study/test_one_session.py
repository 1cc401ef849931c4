"""Folders of several studies or people, and folders of links."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from dicom_fixtures import ACQUISITIONS, write_dicom_study
from scan_fixtures import write_study
from tokenunet.core.errors import MissingSequenceError, MixedPatientsError
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.find import find_study
from tokenunet.study.identity import check_one_person


@pytest.mark.parametrize("lacking", ["FLAIR", "T1"])
def test_find_study_takes_the_complete_study_of_a_day(tmp_path: Path, lacking: str) -> None:
    paths = write_dicom_study(tmp_path / "morning", seed=1)
    later = {s: a | {"StudyTime": "140000"} for s, a in ACQUISITIONS.items()}
    for path in write_dicom_study(tmp_path / "afternoon", seed=2, acquisitions=later)[lacking]:
        path.unlink()
    found = find_study(tmp_path)
    assert all(list(series.files) == paths[s] for s, series in found.series.items())
    assert "several_studies" in {f.code for f in found.findings}


def test_find_study_names_both_studies_where_it_takes_parts_of_each(tmp_path: Path) -> None:
    for path in write_dicom_study(tmp_path / "morning", seed=1)["FLAIR"]:
        path.unlink()
    later = {s: a | {"StudyTime": "140000"} for s, a in ACQUISITIONS.items()}
    for path in write_dicom_study(tmp_path / "afternoon", seed=2, acquisitions=later)["T2"]:
        path.unlink()
    (message,) = [f.message for f in find_study(tmp_path).findings if f.code == "mixed_studies"]
    assert "20260102 100000" in message
    assert "20260102 140000" in message


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("1", "A", "1970"), ("2", "A", "1970"), False),
        (("1", "A", "1970"), ("1", "A", "1980"), False),
        (("", "A", ""), ("", "B", ""), False),
        (("1", "Doe^Jane", "1970"), ("1", "Roe^Jane", "1970"), True),
        (("", "", ""), ("1", "A", "1970"), True),
        (("", "doe", ""), ("", "DOE", ""), True),
        (("ANON", "Doe^Jane", "1970"), ("ANON", "Roe^Jim", "1970"), False),
        (("ANON", "ANON", "1970"), ("ANON", "ANON", "1980"), False),
        (("Anonymous", "", ""), ("000", "Doe^Jane", ""), True),
        (("ANON1", "", ""), ("ANON2", "", ""), False),
        (("", "Patient 1", ""), ("", "Patient 2", ""), False),
        (("0123", "Doe^Jane", ""), ("123", "Doe^Jane", ""), True),
        (("0123", "Doe^Jane", ""), ("123", "Roe^Jim", ""), False),
        (("", "Doe^Jane^^Dr.", ""), ("", "JANE DOE", ""), True),
        (("", "Müller^José", ""), ("", "MULLER, JOSE", ""), True),
        (("", "Wang^Xiaodong=王^小东", ""), ("", "Wang^Xiaodong", ""), True),
        (("", "王^小东", ""), ("", "李^娜", ""), False),
    ],
)
def test_check_one_person_by_id_name_and_birth_date(one: tuple[str, ...], other: tuple[str, ...], same: bool) -> None:
    people = [DicomTags(patient_id=i, patient_name=n, birth_date=b) for i, n, b in (one, other)]
    if same:
        check_one_person(people)
    else:
        with pytest.raises(MixedPatientsError, match="2 patients"):
            check_one_person(people)


@pytest.mark.parametrize(("patient_id", "same"), [("", False), ("ANON", False), ("1", True)])
def test_check_one_person_by_sex_without_an_id(patient_id: str, same: bool) -> None:
    people = [DicomTags(patient_id=patient_id, sex=sex) for sex in ("F", "M", "", "O")]
    with nullcontext() if same else pytest.raises(MixedPatientsError):
        check_one_person(people)


@pytest.mark.parametrize("dated", [True, False])
def test_find_study_names_scans_of_another_study_that_are_missing(tmp_path: Path, dated: bool) -> None:
    acquisitions = {s: dict(tags) for s, tags in ACQUISITIONS.items()}
    dates = ("StudyDate", "SeriesDate", "AcquisitionDate")
    acquisitions["T1ce"] |= {"StudyInstanceUID": "1.2.9"} | dict.fromkeys(dates, "20250102" if dated else "")
    write_dicom_study(tmp_path, acquisitions=acquisitions)
    with pytest.raises(MissingSequenceError, match=r"not mixed; there is 9 “t1_se_tra” of .*(20250102|1\.2\.9), too"):
        find_study(tmp_path)


def test_find_study_follows_links(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "patient").mkdir()
    for sequence, path in write_study(tmp_path / "archive").items():
        folder = tmp_path / "archive" / sequence
        folder.mkdir()
        path.rename(folder / path.name)
        (tmp_path / "patient" / sequence).symlink_to(folder)
    (tmp_path / "patient" / "circle").symlink_to(tmp_path / "patient")
    (tmp_path / "patient" / "broken").symlink_to(tmp_path / "none")
    assert len(find_study(tmp_path / "patient").scans) == 4
