"""Follow-up of a patient, from folders to files: alignment, maps, report, page, and what bad input gets."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tokenunet
from dicom_fixtures import write_dicom_study
from model_fixtures import SMALL_MANIFEST, small_bundle
from time_point_results import brain_scan, tumor_labels, write_result_folder
from tokenunet.cli import main
from tokenunet.core.errors import (
    Cancelled,
    InputError,
    MissingSequenceError,
    OutputError,
    OutputExistsError,
    SameStudyError,
)
from tokenunet.core.events import Event, ProgressEvent, ResultEvent, Stage
from tokenunet.core.grid import Grid
from tokenunet.followup.pipeline import follow_up
from tokenunet.followup.request import FollowUpRequest
from tokenunet.followup.results import read_result
from tokenunet.followup.time_points import TimePoint
from tokenunet.study.dicom import find_series, read_series
from tokenunet.synthesis import synthetic_patient, write_patient

MOTION = sitk.Euler3DTransform((0.0, -120.0, 80.0), 0.06, -0.04, 0.08, (6.0, -4.0, 5.0))


@pytest.fixture
def request_(tmp_path: Path) -> FollowUpRequest:
    return FollowUpRequest(tmp_path / "patient", tmp_path / "out")


def warnings_of(report: dict) -> list[str]:
    return [warning["code"] for warning in report["warnings"]]


def test_follow_up_aligns_measures_and_writes(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01", 3)
    write_result_folder(request_.patient / "2020-03-01", 5, motion=MOTION)
    events: list[Event] = []
    report = follow_up(request_, events.append)
    assert not report["warnings"]
    first, second = report["time_points"]
    assert (first["day"], second["day"]) == (0, 60)
    transform = sitk.ReadTransform(request_.output / "transforms" / "2020-03-01.tfm")
    inside = np.argwhere(sitk.GetArrayViewFromImage(brain_scan()) > 0)[::200, ::-1].tolist()
    points = [brain_scan().TransformIndexToPhysicalPoint(index) for index in inside]
    errors = [math.dist(transform.TransformPoint(p), MOTION.TransformPoint(p)) for p in points]
    assert np.mean(errors) < 1
    by_region = {change["region"]: change for change in report["changes"]}
    assert by_region["WT"]["difference_ml"] > 10
    assert not by_region["WT"]["within_uncertainty"]
    assert [lesion["changes"] for lesion in report["lesions"]["WT"]] == [["grown"]]
    assert len(report["lesions"]["ET"]) == 1
    change = sitk.GetArrayFromImage(sitk.ReadImage(request_.output / "overlays" / "change" / "change_1.nii.gz"))
    grid = Grid.of(brain_scan())
    expected = (tumor_labels(grid, 5) > 0) & (tumor_labels(grid, 3) == 0)
    assert (change[expected] > 0).mean() > 0.8
    assert (change < 0).sum() < 0.2 * (change > 0).sum()
    assert json.loads((request_.output / "follow_up.json").read_text()) == json.loads(json.dumps(report))
    assert len((request_.output / "follow_up.csv").read_text().splitlines()) == 4
    page = (request_.output / "follow_up.html").read_text()
    assert "RANO 2.0 (Wen et al." in page
    assert (request_.output / "follow_up.pdf").read_bytes().startswith(b"%PDF")
    assert not {"progression", "response", "stable disease"} & set(page.lower().split())
    fractions = [event.fraction for event in events if isinstance(event, ProgressEvent)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [type(event) for event in events].count(ResultEvent) == 1
    with pytest.raises(OutputExistsError):
        follow_up(request_)


def test_follow_up_warns_of_a_cavity(request_: FollowUpRequest) -> None:
    grid = Grid.of(brain_scan())
    tumor = tumor_labels(grid, 5)
    operated = sitk.GetArrayFromImage(brain_scan())
    operated[tumor > 0] = 30
    write_result_folder(request_.patient / "2020-01-01", labels=tumor)
    write_result_folder(request_.patient / "2020-02-01", labels=np.zeros_like(tumor), scan=grid.image(operated))
    report = follow_up(request_)
    assert warnings_of(report) == ["cavity"]
    assert "as in a cavity after surgery" in report["warnings"][0]["message"]


def test_follow_up_repeats_the_warning_that_a_tumor_is_not_marked(request_: FollowUpRequest) -> None:
    """A lesion would else have vanished without a word."""
    write_result_folder(request_.patient / "2020-01-01")
    later = write_result_folder(request_.patient / "2020-02-01", motion=MOTION) / "run.json"
    warnings = [{"code": code, "message": f"{code}."} for code in ("weak_tumor", "noise")]
    later.write_text(json.dumps(json.loads(later.read_text()) | {"warnings": warnings}))
    assert follow_up(request_)["warnings"] == [{"code": "weak_tumor", "message": "2020-02-01: weak_tumor."}]


def test_follow_up_with_time_points_without_tumor_has_finite_numbers(request_: FollowUpRequest) -> None:
    grid, none = Grid.of(brain_scan()), tumor_labels(Grid.of(brain_scan()), 0) * 0
    for month, labels in ((1, none), (2, tumor_labels(grid, 4)), (3, none)):
        scan = sitk.Cast(brain_scan() * (1 + 0.1 * month), sitk.sitkFloat32)
        write_result_folder(request_.patient / f"2020-0{month}-01", labels=labels, scan=scan)
    report = follow_up(request_)
    changes = [change for change in report["changes"] if change["region"] == "WT"]
    assert [change["percent"] for change in changes] == [None, -100.0, None]
    assert [lesion["changes"] for lesion in report["lesions"]["WT"]] == [["new", "gone"]]
    json.dumps(report, allow_nan=False)
    page = (request_.output / "follow_up.html").read_text()
    assert not re.search(r"\b(nan|inf)\b|None\b(?! of)", re.sub(r'"data:[^"]*"', "", page))
    assert "+0.0 ml" in page


def test_follow_up_of_tumor_free_time_points_has_a_page(request_: FollowUpRequest) -> None:
    none = tumor_labels(Grid.of(brain_scan()), 0) * 0
    for month in (1, 2):
        scan = sitk.Cast(brain_scan() * month, sitk.sitkFloat32)
        write_result_folder(request_.patient / f"2020-0{month}-01", labels=none, scan=scan)
    follow_up(request_)
    page = re.sub(r'"data:[^"]*"', "", (request_.output / "follow_up.html").read_text())
    assert not re.search(r"\b(nan|inf)\b|None\b(?! of)", page)
    assert "None of at least 0.1 ml." in page


def test_follow_up_to_a_folder_that_cannot_be_written_is_refused(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01")
    write_result_folder(request_.patient / "2020-02-01", 5)
    with pytest.raises(OutputError):
        follow_up(replace(request_, output=Path("/proc/follow-up")))


def test_follow_up_of_two_brains_warns(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01")
    noise = sitk.GetArrayFromImage(brain_scan(6))[::-1]
    write_result_folder(request_.patient / "2020-02-01", scan=Grid.of(brain_scan()).image(np.ascontiguousarray(noise)))
    report = follow_up(request_)
    assert warnings_of(report) == ["poor_alignment"]
    assert "they may be of two people" in report["warnings"][0]["message"]


def test_follow_up_of_the_same_scan_is_refused(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01")
    write_result_folder(request_.patient / "2020-02-01")
    with pytest.raises(SameStudyError, match="2020-01-01 and 2020-02-01 are the same examination"):
        follow_up(request_)


def test_follow_up_of_a_result_without_its_scan_is_refused(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01")
    folder = write_result_folder(request_.patient / "2020-02-01", 5)
    (folder / "t1ce.nii.gz").unlink()
    with pytest.raises(MissingSequenceError, match="is no longer there"):
        follow_up(request_)
    (folder / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        follow_up(request_)


def test_follow_up_names_the_time_point_of_three_that_fails(
    request_: FollowUpRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is compared or written; the time point can be left out as the message says."""
    days = ("2020-01-01", "2020-02-01", "2020-03-01")
    for n, day in enumerate(days):
        write_result_folder(request_.patient / day, 3 + n, scan=brain_scan() * (1 + n))
    broken = request_.patient / days[1] / "labels.nii.gz"
    broken.write_bytes(broken.read_bytes()[:200])
    command = ["follow-up", *request_.to_arguments()]
    assert main(command) == 3
    said = capsys.readouterr().err
    assert f"Time point 2020-02-01: {broken}" in said
    assert "Or compare the others: 2020-01-01, 2020-03-01 (--order 2020-01-01 2020-03-01)." in said
    assert not request_.output.exists()
    (broken.parent / "run.json").unlink()
    (broken.parent / "t1ce.nii.gz").write_bytes(b"no image")
    assert main(command) == 4
    said = capsys.readouterr().err
    assert f"Time point 2020-02-01: {broken.parent}" in said
    assert "No T1 or T2 or FLAIR" in said
    assert "Correct its folder. Or compare" in said


def test_follow_up_that_is_cancelled_leaves_nothing(request_: FollowUpRequest) -> None:
    write_result_folder(request_.patient / "2020-01-01", 3)
    write_result_folder(request_.patient / "2020-02-01", 4)

    def cancel(event: Event) -> None:
        if isinstance(event, ProgressEvent) and event.stage == Stage.ALIGN:
            raise Cancelled

    with pytest.raises(Cancelled):
        follow_up(request_, cancel)
    assert not request_.output.exists()


def test_read_result_finds_its_dicom_series(tmp_path: Path) -> None:
    file = write_dicom_study(tmp_path / "study")["FLAIR"][0]
    series = next(series for series in find_series(tmp_path / "study") if file in series.files)
    scan = read_series(series)
    folder = write_result_folder(tmp_path / "2020-01-01", 3, scan=scan.image)
    report = {"reference": "FLAIR", "inputs": {"FLAIR": {"path": scan.source}}}
    (folder / "run.json").write_text(json.dumps(report))
    found = read_result(TimePoint("2020-01-01", folder), folder)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(found.image), sitk.GetArrayViewFromImage(scan.image))
    report["inputs"]["FLAIR"]["path"] = f"{tmp_path / 'study'}: series 7 “other”"
    (folder / "run.json").write_text(json.dumps(report))
    with pytest.raises(MissingSequenceError, match="no longer holds the series"):
        read_result(TimePoint("2020-01-01", folder), folder)


def test_follow_up_segments_scans_once(tmp_path: Path) -> None:
    for seed, name in ((5, "2020-01-01"), (8, "2020-02-01")):
        patient = write_patient(synthetic_patient(5, spacing=4.0), tmp_path / "scans")
        target = tmp_path / "patient" / name
        target.parent.mkdir(exist_ok=True)
        patient.rename(target)
        if seed == 8:  # another examination of the same brain
            for file in target.glob("*.nii.gz"):
                image = sitk.ReadImage(file)
                sitk.WriteImage(sitk.Cast(image * 2, image.GetPixelID()), file)
    model = small_bundle(tmp_path / "model", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))
    report = tokenunet.follow_up(tmp_path / "patient", tmp_path / "out", model=model, device="cpu")
    runs = [tmp_path / "out" / "results" / name / "run.json" for name in ("2020-01-01", "2020-02-01")]
    written = [run.stat().st_mtime_ns for run in runs]
    assert [point["model"]["name"] for point in report["time_points"]] == ["Tiny random Token-UNet"] * 2
    for path in (tmp_path / "out").glob("follow_up.*"):
        path.unlink()
    for folder in ("scans", "labels", "transforms", "overlays"):
        for path in (tmp_path / "out" / folder).rglob("*.*"):
            if path.is_file():
                path.unlink()
    assert main(["follow-up", str(tmp_path / "patient"), "--output", str(tmp_path / "out"), "--model", str(model)]) == 0
    assert [run.stat().st_mtime_ns for run in runs] == written


def test_follow_up_command_reports_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["follow-up", str(tmp_path / "none"), "--output", str(tmp_path / "out"), "--progress", "json"]
    assert main(arguments) == 3
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "time_points"
    assert not (tmp_path / "out").exists()
    assert main(["follow-up", str(tmp_path), "--output", str(tmp_path)]) == 2
