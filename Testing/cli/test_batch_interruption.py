"""Batches that are killed or interrupted, whole or in part."""

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from batch_runs import BROKEN, command, job, moments, start, table, workers_of, write_patients
from tokenunet.cli import main
from tokenunet.core.events import Event, ProgressEvent
from tokenunet.inference.batch.job import segment_patient
from tokenunet.inference.batch.processes import run_in_processes
from waiting import wait_until


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


@pytest.mark.slow
def test_a_killed_batch_goes_on_where_it_was(
    three: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patients = write_patients(tmp_path / "patients", three, list(range(1, 11)))
    output = tmp_path / "out"
    process = start(command(patients, output, model))
    wait_until(lambda: len(list(output.glob("*/run.json"))) >= 3)
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers), "nobody goes on for a process that is no more"
    earlier = moments(output)
    done = {path.parent.name for path in output.glob("*/run.json")}
    assert 3 <= len(done) < 7

    assert main(command(patients, output, model)) == 3
    assert f"3 of 10 patients failed; the reasons are in {output / 'summary.csv'}." in capsys.readouterr().err
    rows = table(output)
    assert list(rows) == [f"patient_{number:02d}" for number in range(1, 11)]
    assert {name: row["code"] for name, row in rows.items() if row["status"] == "failed"} == BROKEN
    assert {name for name, row in rows.items() if row["status"] == "skipped"} == done
    assert len(list(output.glob("*/run.json"))) == 7
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
    patients = write_patients(tmp_path / "patients", three, [1, 2, 4, 5, 6, 7])
    output = tmp_path / "out"
    process = start(command(patients, output, model), "--jobs", "2")
    wait_until(lambda: (output / "summary.csv").exists() and len(table(output)) >= 2)
    workers = workers_of(process.pid)
    if interruption is signal.SIGINT:
        os.killpg(process.pid, interruption)  # as a terminal does
    else:
        process.send_signal(interruption)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 6 patients. Run the same command again to continue." in errors
    assert "Traceback" not in errors
    assert not any(worker.is_running() for worker in workers)
    rows = table(output)
    assert 2 <= len(rows) < 6
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert not list(output.rglob(".unfinished*"))
    assert main(command(patients, output, model)) == 0
    assert len(table(output)) == 6


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
