"""``tokenunet segment --batch --check``: what is wrong with patients, before any is segmented."""

import json
from pathlib import Path
from typing import Any

import pytest
from batch_runs import BROKEN, command, moments
from tokenunet.cli import main
from tokenunet.core.sequences import SEQUENCES


def checked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the events of the patients by name."""
    code = main([*arguments, "--check", "--progress", "json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["fraction"] for event in events if event["event"] == "progress"][-1] == 1
    return code, {event["patient"]: event for event in events if event["event"] == "patient"}


def test_check_names_scans_and_problems_and_segments_none(
    patients: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = checked(command(patients, tmp_path / "out", model), capsys)
    assert code == 3
    assert list(found) == sorted(patient.name for patient in patients.iterdir())
    for name, event in found.items():
        assert event["status"] == ("failed" if name in BROKEN else "ready")
        assert (name in event["message"], bool(event["hint"])) == (name in BROKEN, name in BROKEN)
        assert set(event["scans"]) == (set() if name in BROKEN else set(SEQUENCES))
    assert not (tmp_path / "out").exists()
    assert main([*command(patients, tmp_path / "out", model), "--check"]) == 3
    assert "patient_01: ready, T1, T1ce, T2, FLAIR." in capsys.readouterr().out


def test_check_knows_finished_patients_again(
    finished: Path, patients: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = moments(finished)
    _code, found = checked(command(patients, finished, model), capsys)
    done = {name for name, event in found.items() if event["status"] == "skipped"}
    assert done == {name for name in found if name not in BROKEN}
    assert all(found[name]["volumes_ml"]["WT"] >= 0 for name in done)
    assert moments(finished) == earlier


def test_check_without_batch_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", "--input", "patient", "--output", "out", "--check"]) == 2
    assert "--check is for many patients." in capsys.readouterr().err
