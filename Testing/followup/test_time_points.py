"""Time points of a patient: found in folders and DICOM studies, and in which order."""

from datetime import date
from pathlib import Path

import pytest
from dicom_fixtures import ACQUISITIONS, write_dicom_study
from tokenunet.core.channels import FOUR_SEQUENCES
from tokenunet.core.errors import MixedPatientsError, TimePointsError
from tokenunet.followup.time_points import date_in_name, days_since_first, find_time_points, order_finding


def folders(patient: Path, *names: str) -> Path:
    """Results, of which only the report matters here."""
    for name in names:
        (patient / name).mkdir(parents=True)
        (patient / name / "run.json").write_text("{}")
    return patient


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ses-2021-03-05", date(2021, 3, 5)),
        ("20210305_mr", date(2021, 3, 5)),
        ("2021.03.05", date(2021, 3, 5)),
        ("2021-13-05", None),
        ("week-012", None),
        ("120210305", None),
    ],
)
def test_date_in_name(name: str, found: date | None) -> None:
    assert date_in_name(name) == found


def test_find_time_points_sorts_by_date_and_leaves_out_the_output(tmp_path: Path) -> None:
    patient = folders(tmp_path, "b 2020-01-02", "a 2021-01-02", "2022-01-02 follow-up")
    points = find_time_points(patient, FOUR_SEQUENCES, output=patient / "2022-01-02 follow-up")
    assert [point.name for point in points] == ["b 2020-01-02", "a 2021-01-02"]
    assert all(point.is_result for point in points)
    assert days_since_first(points) == [0, 366]


def test_find_time_points_takes_every_day_of_dicom_studies(tmp_path: Path) -> None:
    later = {s: a | {"StudyDate": "20260402"} for s, a in ACQUISITIONS.items()}
    second = write_dicom_study(tmp_path / "exports", seed=2, acquisitions=later)
    first = write_dicom_study(tmp_path / "exports", seed=1)
    points = find_time_points(tmp_path, FOUR_SEQUENCES)
    assert [point.name for point in points] == ["2026-01-02", "2026-04-02"]
    for point, files in zip(points, (first, second), strict=True):
        assert {s: path in files[s] for s, path in point.inputs.items()} == dict.fromkeys(files, True)
    for sequence in ("T1", "FLAIR"):
        for path in second[sequence]:
            path.unlink()
    points = find_time_points(tmp_path, FOUR_SEQUENCES, ("2026-04-02", "2026-01-02"))
    assert "No T1 or FLAIR was found" in str(points[0].problem), "the order may leave that day out"


def test_find_time_points_of_two_people_is_refused(tmp_path: Path) -> None:
    other = {s: a | {"StudyDate": "20260402", "PatientID": "X"} for s, a in ACQUISITIONS.items()}
    write_dicom_study(tmp_path / "one", seed=1)
    write_dicom_study(tmp_path / "other", seed=2, acquisitions=other)
    with pytest.raises(MixedPatientsError, match="2 patients"):
        find_time_points(tmp_path, FOUR_SEQUENCES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no time points"),
        (("2020-01-02",), "only one time point, 2020-01-02"),
        (("week-0", "2020-01-02"), "The date of week-0 in .* is not known"),
        (("a 2020-01-02", "b 2020-01-02"), "a 2020-01-02, b 2020-01-02 in .* have the same date, 2020-01-02"),
    ],
)
def test_find_time_points_without_an_order_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(TimePointsError, match=message):
        find_time_points(folders(tmp_path, *names), FOUR_SEQUENCES)


def test_find_time_points_takes_the_order_that_is_given(tmp_path: Path) -> None:
    patient = folders(tmp_path, "week-0", "week-12", "week-24")
    points = find_time_points(patient, FOUR_SEQUENCES, ("week-12", "week-0"))
    assert [point.name for point in points] == ["week-12", "week-0"]
    assert days_since_first(points) is None
    with pytest.raises(TimePointsError, match="no time point week-1"):
        find_time_points(patient, FOUR_SEQUENCES, ("week-0", "week-1"))
    with pytest.raises(TimePointsError, match="two or more different"):
        find_time_points(patient, FOUR_SEQUENCES, ("week-0", "week-0"))


def test_find_time_points_forgets_dates_that_contradict_the_order(tmp_path: Path) -> None:
    patient = folders(tmp_path, "2020-01-02", "2021-01-02")
    points = find_time_points(patient, FOUR_SEQUENCES, ("2021-01-02", "2020-01-02"))
    assert [point.acquired for point in points] == [None, None]
    finding = order_finding(points)
    assert finding is not None
    assert "The order 2021-01-02, 2020-01-02 is not that of the dates" in finding.message
    assert order_finding(find_time_points(patient, FOUR_SEQUENCES)) is None
