"""``tokenunet segment --batch`` as its users call it: a table, broken patients, interruptions."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from dicom_fixtures import write_dicom_study
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.errors import InputError
from tokenunet.events import Event, ProgressEvent
from tokenunet.inference import SegmentationRequest, batch_job
from tokenunet.inference.batch_input import find_patients
from tokenunet.inference.batch_job import PatientJob, segment_patient
from tokenunet.inference.batch_processes import run_in_processes
from tokenunet.sequences import SEQUENCES
from tokenunet.synthesis import synthetic_patient, write_patient

Table = dict[str, dict[str, str]]
VOLUMES = ["WT_ml", "TC_ml", "ET_ml", "NCR_ml", "ED_ml"]
BROKEN = {"patient_03": "missing_sequence", "patient_08": "unreadable_image", "patient_15": "unusable_image"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes 4 mm voxels, so that a patient is done in well under a second."""
    return small_bundle(tmp_path_factory.mktemp("model") / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    return [write_patient(synthetic_patient(seed, spacing=4.0), folder) for seed in (1, 2, 3)]


def write_patients(folder: Path, three: list[Path], numbers: list[int]) -> Path:
    """Folders ``patient_01`` and so on, of which those named in `BROKEN` are."""
    for number in numbers:
        name = f"patient_{number:02d}"
        shutil.copytree(three[number % 3], folder / name)
        files = {s: next((folder / name).glob(f"*_{s.lower()}.nii.gz")) for s in SEQUENCES}
        match BROKEN.get(name):
            case "missing_sequence":
                files["T2"].unlink()
            case "unreadable_image":
                files["FLAIR"].write_bytes(files["FLAIR"].read_bytes()[:5000])
            case "unusable_image":
                constant = sitk.ReadImage(files["T1"]) * 0 + 7
                sitk.WriteImage(constant, files["T1"])
    return folder


@pytest.fixture(scope="module")
def patients(three: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patients(tmp_path_factory.mktemp("patients"), three, [1, 2, 3, 4, 8])


@pytest.fixture(scope="module")
def first_run(patients: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, list[Any]]:
    """Folder of results, exit code and events of a batch that two processes worked on."""
    output = tmp_path_factory.mktemp("results")
    process = start(command(patients, output, model), "--jobs", "2")
    events, errors = process.communicate(timeout=200)
    assert "Traceback" not in errors
    return output, process.returncode, [json.loads(line) for line in events.splitlines()]


@pytest.fixture
def finished(first_run: tuple[Path, int, list[Any]], tmp_path: Path) -> Path:
    """A copy of the results, as old as they are."""
    return Path(shutil.copytree(first_run[0], tmp_path / "out"))


def command(patients: Path, output: Path, model: Path) -> list[str]:
    return [
        *("segment", "--batch", str(patients), "--output", str(output), "--model", str(model)),
        *("--device", "cpu", "--precision", "fp32"),
    ]


def start(command: list[str], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tokenunet", *command, *more, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def table(output: Path) -> Table:
    with (output / "summary.csv").open(newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}


def without_time(rows: Table) -> Table:
    return {name: row | {"seconds": ""} for name, row in rows.items()}


def moments(output: Path) -> dict[Path, int]:
    """When the files of the patients that are done were written."""
    done = [report.parent for report in output.glob("*/run.json")]
    return {path: path.stat().st_mtime_ns for folder in done for path in folder.rglob("*") if path.is_file()}


def job(patient: Path, output: Path, model: Path, **options: Any) -> PatientJob:
    return PatientJob(patient.name, SegmentationRequest({}, output / patient.name, model, patient, **options))


def workers_of(pid: int) -> list[psutil.Process]:
    """Without multiprocessing's own helper, which ends in its own time."""
    return [child for child in psutil.Process(pid).children() if any("spawn_main" in word for word in child.cmdline())]


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


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
    assert events[-2]["report"]["failed"] == 2
    assert events[-1]["message"].startswith("3 of 5 patients segmented; 2 failed")
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
    assert "4 of 5 patients segmented; 1 failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], ""),
        (["--mode", "sliding_window"], "another mode"),
        (["--masks"], "without masks"),
        (["--reference", "T2"], "another reference"),
        (["--labels", "brats2023"], "another scheme"),
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
        assert "changed since" in str(row.error)
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


def sha256_in(output: Path) -> str:
    return json.loads((output / "patient_02" / "run.json").read_text())["model"]["sha256"]


def test_what_a_killed_process_left_half_moved_is_replaced_and_a_users_file_is_not(
    patients: Path, model: Path, tmp_path: Path
) -> None:
    one = job(patients / "patient_01", tmp_path, model)
    output = one.request.output
    output.mkdir()
    (output / "labels.nii.gz").write_text("somebody's")
    row = segment_patient(one)
    assert row.error is not None
    assert row.error.code == "output_exists"
    assert (output / "labels.nii.gz").read_text() == "somebody's"
    (output / ".unfinished-999999999-abc").mkdir()
    assert segment_patient(one).status == "ok"
    assert sitk.ReadImage(output / "labels.nii.gz").GetDimension() == 3
    assert not list(output.glob(".unfinished-*"))


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


def test_a_process_that_is_killed_costs_one_patient(patients: Path, model: Path, tmp_path: Path) -> None:
    jobs = [job(patients / name, tmp_path, model) for name in ("patient_01", "patient_02", "patient_04")]

    def kill_during_the_second(patient: str, event: Event) -> None:
        if patient == "patient_02" and isinstance(event, ProgressEvent) and event.stage == "predict":
            for worker in workers_of(os.getpid()):
                worker.kill()

    rows = {row.patient: row for row in run_in_processes(jobs, kill_during_the_second)}
    assert [row.status for row in rows.values()] == ["ok", "failed", "ok"]
    error = rows["patient_02"].error
    assert error is not None
    assert (error.code, error.exit_code) == ("process_died", 5)
    assert "SIGKILL" in str(error)
    assert segment_patient(jobs[1]).status == "ok"  # nothing that it left is in the way


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        (["--input", "x"], 2, "--input is for one patient"),
        (["--t1ce", "x"], 2, "--t1ce is for one patient"),
        (["--jobs", "0"], 2, "--jobs must be at least 1"),
        (["--jobs", "2", "--cluster", "local"], 2, "--jobs cannot be given with --cluster"),
        (["--device", "cuda:99"], 5, "cuda:99"),
        (["--batch", "absent"], 3, "absent"),
        (["--output", "PATIENTS"], 3, "among the patients"),
        (["--output", "/proc/results"], 6, "/proc/results"),
        (["--overlap", "1"], 2, "overlap"),
        (["--cluster", "127.0.0.1:1"], 5, "There is no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_what_is_wrong_for_all_stops_the_batch(
    patients: Path,
    model: Path,
    tmp_path: Path,
    changes: list[str],
    exit_code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = [str(patients) if word == "PATIENTS" else word for word in changes]
    assert main([*command(patients, tmp_path / "out", model), *changes]) == exit_code
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("out/*/run.json"))


def test_arguments_about_many_need_a_batch(patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["segment", "--input", str(patients / "patient_01"), "--output", str(tmp_path / "out")]
    assert main([*one, "--jobs", "2"]) == 2
    assert main([*one, "--cluster", "local"]) == 2
    assert "--cluster is for many patients" in capsys.readouterr().err


def test_a_summary_of_something_else_is_not_overwritten(
    patients: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.csv").write_text("my,own\n")
    assert main(command(patients, tmp_path, model)) == 6
    assert "no summary of a batch" in capsys.readouterr().err
    assert (tmp_path / "summary.csv").read_text() == "my,own\n"


def test_a_table_may_name_folders_or_files(tmp_path: Path, model: Path) -> None:
    place = tmp_path / "list.csv"
    request = SegmentationRequest({}, tmp_path / "out", model)
    place.write_text(
        "\ufeffpatient;input;FLAIR;T1;t1c;T2w\nA 1;scans/a;;;;\n;;;;;\n"
        "B;scans/b;/x/f.nii;;;\nC;;f.nii;1.nii;c.nii;2.nii\n"
    )
    a, b, c = find_patients(place, request)
    assert (a.patient, a.request.folder, a.request.inputs) == ("A 1", tmp_path / "scans" / "a", {})
    assert (b.request.folder, b.request.inputs) == (tmp_path / "scans" / "b", {"FLAIR": Path("/x/f.nii")})
    assert (c.request.folder, set(c.request.inputs)) == (None, set(SEQUENCES))
    assert c.request.inputs["T1ce"] == tmp_path / "c.nii"
    assert c.request.output == tmp_path / "out" / "C"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,input\nA,a\n", "has the columns name, input"),
        ("patient,t1,t2\nA,a,b\n", "has the columns"),
        ("patient,input\n../A,a\n", "cannot name a patient"),
        ("patient,input\nA,../../a\n", "leaves the CSV's folder"),
        ("patient,input\nA,a\na,b\n", "2 patients named a"),
        ("patient,input\n", "names no patients"),
        ("", "has the columns"),
    ],
)
def test_a_table_that_names_no_patients_is_refused(text: str, words: str, tmp_path: Path, model: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        find_patients(tmp_path / "list.csv", SegmentationRequest({}, tmp_path / "out", model))


def test_results_may_lie_in_a_folder_beside_the_patients(tmp_path: Path, model: Path) -> None:
    for name in ("P1", "P2", "out", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [j.patient for j in find_patients(tmp_path, SegmentationRequest({}, tmp_path / "out", model))] == [
        "P1",
        "P2",
    ]


@pytest.mark.slow
def test_a_killed_batch_of_twenty_goes_on_where_it_was(three: list[Path], model: Path, tmp_path: Path) -> None:
    patients = write_patients(tmp_path / "patients", three, list(range(1, 21)))
    output = tmp_path / "out"
    process = start(command(patients, output, model))
    wait_until(lambda: len(list(output.glob("*/run.json"))) >= 7)
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers), "nobody goes on for a process that is no more"
    earlier = moments(output)
    done = {path.parent.name for path in output.glob("*/run.json")}
    assert 7 <= len(done) < 17

    again = start(command(patients, output, model))
    _, errors = again.communicate(timeout=200)
    assert again.returncode == 3
    assert f"17 of 20 patients segmented; 3 failed: {output / 'summary.csv'} says why." in errors
    rows = table(output)
    assert list(rows) == [f"patient_{number:02d}" for number in range(1, 21)]
    assert {name: row["code"] for name, row in rows.items() if row["status"] == "failed"} == BROKEN
    assert {name for name, row in rows.items() if row["status"] == "skipped"} == done
    assert len(list(output.glob("*/run.json"))) == 17
    assert not list(output.rglob(".unfinished*"))
    assert {path: moments(output)[path] for path in earlier} == earlier
    labels = [
        sitk.GetArrayFromImage(sitk.ReadImage(output / name / "labels.nii.gz")) for name in ("patient_01", "patient_04")
    ]
    np.testing.assert_array_equal(*labels)  # the same patient, before and after


@pytest.mark.slow
@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_keeps_what_is_done_and_leaves_nothing_half_done(
    three: list[Path], model: Path, tmp_path: Path, interruption: signal.Signals
) -> None:
    patients = write_patients(tmp_path / "patients", three, [1, 2, 4, 5, 6, 7, 9, 10])
    output = tmp_path / "out"
    process = start(command(patients, output, model), "--jobs", "2")
    wait_until(lambda: (output / "summary.csv").exists() and len(table(output)) >= 3)
    workers = workers_of(process.pid)
    if interruption is signal.SIGINT:
        os.killpg(process.pid, interruption)  # as a terminal does
    else:
        process.send_signal(interruption)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 8 patients; the same command goes on from there." in errors
    assert "Traceback" not in errors
    assert not any(worker.is_running() for worker in workers)
    rows = table(output)
    assert 3 <= len(rows) < 8
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert not list(output.rglob(".unfinished*"))
    assert main(command(patients, output, model)) == 0
    assert len(table(output)) == 8


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
