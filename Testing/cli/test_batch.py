"""``tokenunet segment --batch`` as its users call it: a table, broken patients, interruptions."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_runs import (
    BROKEN,
    VOLUMES,
    command,
    job,
    moments,
    start,
    table,
    without_time,
)
from dicom_fixtures import write_dicom_study
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.inference.batch import job as batch_job
from tokenunet.inference.batch import run as batch_run
from tokenunet.inference.batch.job import PatientJob, segment_patient
from tokenunet.inference.batch.summary import Summary


def test_every_patient_has_a_row_and_the_broken_ones_say_why(
    first_run: tuple[Path, int, list[Any]], patients: Path
) -> None:
    output, exit_code, events = first_run
    assert exit_code == 3
    rows = table(output)
    assert list(rows) == sorted(p.name for p in patients.iterdir())
    for name, row in rows.items():
        assert (row["status"], row["code"]) == (("failed", BROKEN[name]) if name in BROKEN else ("ok", ""))
        assert (output / name / "run.json").exists() == (name not in BROKEN)
        if name in BROKEN:
            assert name in row["message"]
            assert row["hint"]
            assert not any(row[column] for column in VOLUMES)
        else:
            report = json.loads((output / name / "run.json").read_text())
            assert {v: float(row[v]) for v in VOLUMES} == {f"{k}_ml": v for k, v in report["volumes_ml"].items()}
            assert int(row["warnings"]) == len(report["warnings"])
            assert float(row["seconds"]) > 0
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert len({round(5 * fraction, 3) for fraction in fractions}) > 6, "patients count while they are segmented"
    assert {event["code"] for event in events if event["event"] == "warning"} == {
        BROKEN[name] for name in rows if name in BROKEN
    }
    for name in rows:
        news = [event["status"] for event in events if event["event"] == "patient" and event["patient"] == name]
        assert news == ["waiting", "running", "failed" if name in BROKEN else "ok"]
    assert events[-2]["report"]["failed"] == 2
    assert events[-1]["message"].startswith("2 of 5 patients failed")
    assert events[-1]["code"] == "incomplete_batch"


def test_a_second_run_touches_no_result_and_tries_the_failed_ones_again(
    finished: Path, patients: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mended = Path(shutil.copytree(patients, tmp_path / "mended"))
    earlier, before = moments(finished), table(finished)
    shutil.rmtree(mended / "patient_08")
    shutil.copytree(mended / "patient_01", mended / "patient_08")
    # The other patients are where they were, as the reports say; only the mended one is segmented.
    links = tmp_path / "patients"
    lines = [f"{p.name},{mended / p.name if p.name in BROKEN else p}" for p in sorted(patients.iterdir())]
    links.write_text("\n".join(["patient,input", *lines]))
    assert main(command(links, finished, model)) == 3
    after = table(finished)
    assert {name: row["status"] for name, row in after.items()} == {
        name: {"patient_03": "failed", "patient_08": "ok"}.get(name, "skipped") for name in before
    }
    assert {path: moments(finished)[path] for path in earlier} == earlier
    for name in ("patient_01", "patient_02", "patient_04"):
        assert after[name] == before[name] | {"status": "skipped"}
    assert {after["patient_08"][v] for v in VOLUMES} == {after["patient_01"][v] for v in VOLUMES}
    assert "1 of 5 patients failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], ""),
        (["--mode", "sliding_window"], "another mode"),
        (["--fast"], "another number of passes"),
        (["--attention-maps"], "without attention maps"),
        (["--reference", "T2"], "another reference"),
        (["--labels", "brats2023"], "another label scheme"),
        (["--model", "OTHER"], "another model"),
    ],
)
def test_results_of_something_else_are_neither_taken_nor_overwritten(
    finished: Path, patients: Path, model: Path, tmp_path: Path, changes: list[str], words: str
) -> None:
    if "OTHER" in changes:
        manifest = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))
        changes = ["--model", str(small_bundle(tmp_path / "other", manifest, seed=5))]
    sound = tmp_path / "sound.csv"
    sound.write_text(f"Patient;Input\npatient_01;{patients / 'patient_01'}\n\npatient_02;{patients / 'patient_02'}\n")
    earlier = moments(finished)
    assert main([*command(sound, finished, model), *changes]) == (3 if words else 0)
    for row in table(finished).values():
        assert row["status"] == ("failed" if words else "skipped")
        assert row["code"] == ("output_exists" if words else "")
        assert words in row["message"]
    assert moments(finished) == earlier


def test_results_of_other_or_changed_scans_are_not_taken(
    finished: Path, patients: Path, model: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(patients, tmp_path / "moved"))
    assert main(command(moved, finished, model)) == 3
    rows = table(finished)
    assert "other scans" in rows["patient_01"]["message"]
    changed = next((patients / "patient_02").glob("*_flair.nii.gz"))
    status = changed.stat()
    os.utime(changed)
    try:
        row = batch_job.row_of_earlier_run(job(patients / "patient_02", finished, model), sha256_in(finished))
        assert row is not None
        assert "have changed" in str(row.error)
    finally:
        os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    (finished / "patient_04" / "run.json").write_text("{")
    row = batch_job.row_of_earlier_run(job(patients / "patient_04", finished, model), "")
    assert row is not None
    assert "cannot be read" in str(row.error)


def test_the_results_of_a_dicom_study_are_known_again(model: Path, tmp_path: Path) -> None:
    files = write_dicom_study(tmp_path / "study")
    one = job(tmp_path / "study", tmp_path / "out", model)
    assert segment_patient(one).error is None
    sha256 = json.loads((one.request.output / "run.json").read_text())["model"]["sha256"]
    by_files = replace(one.request, folder=None, inputs={s: slices[3] for s, slices in files.items()})
    elsewhere = replace(one.request, folder=tmp_path / "study 2")
    for request, status in ((one.request, "skipped"), (by_files, "skipped"), (elsewhere, "failed")):
        row = batch_job.row_of_earlier_run(PatientJob("study", request), sha256)
        assert row is not None
        assert row.status == status


def test_summary_holds_the_ends_of_the_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = {
        "timings_s": {},
        "warnings": [],
        "volumes_ml": {"WT": 3.0},
        "expected_dice": {"WT": {"value": 0.8, "low": 0.6, "high": 0.9}},
        "volumes_interval_ml": {"WT": [2.0, 5.0]},
    }
    monkeypatch.setattr(batch_job, "segment", lambda *_: report)
    one = job(tmp_path / "one", tmp_path, tmp_path)
    summary = Summary(tmp_path, ["one"])
    batch_run._add(one, segment_patient(one), summary, lambda event: None)
    summary.write()
    row = table(tmp_path)["one"]
    expected = {"WT_expected_dice_low": "0.6", "WT_expected_dice_high": "0.9", "WT_ml_low": "2.0", "WT_ml_high": "5.0"}
    assert {name: row[name] for name in expected} == expected
    assert row["TC_ml_low"] == ""


def sha256_in(output: Path) -> str:
    return json.loads((output / "patient_02" / "run.json").read_text())["model"]["sha256"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("strange"), "error"), (MemoryError(), "out_of_memory"), (OSError(5, "x"), "error")],
)
def test_no_error_of_a_patient_is_another_ones(
    patients: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(batch_job, "segment", fail)
    row = segment_patient(job(patients / "patient_01", tmp_path, model))
    assert row.error is not None
    assert (row.status, row.error.code) == ("failed", code)
    assert "patient_01" in str(row.error)


def test_a_summary_of_something_else_is_not_overwritten(
    patients: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.csv").write_text("my,own\n")
    assert main(command(patients, tmp_path, model)) == 6
    assert "not a summary of a batch" in capsys.readouterr().err
    assert (tmp_path / "summary.csv").read_text() == "my,own\n"


@pytest.mark.slow
def test_a_cluster_gives_the_same_table(
    first_run: tuple[Path, int, list[Any]], patients: Path, model: Path, tmp_path: Path
) -> None:
    process = start(command(patients, tmp_path / "out", model), "--cluster", "local")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 3, errors
    assert without_time(table(tmp_path / "out")) == without_time(table(first_run[0]))


@pytest.mark.slow
def test_one_process_gives_the_same_table_as_two(
    first_run: tuple[Path, int, list[Any]], patients: Path, model: Path, tmp_path: Path
) -> None:
    assert main(command(patients, tmp_path / "out", model)) == 3
    assert without_time(table(tmp_path / "out")) == without_time(table(first_run[0]))
