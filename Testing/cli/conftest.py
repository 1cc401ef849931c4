"""One batch that several tests look at."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_runs import (
    command,
    start,
    write_patients,
)
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.synthesis import synthetic_patient, write_patient


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes 4 mm voxels, so that a patient is done in well under a second."""
    return small_bundle(tmp_path_factory.mktemp("model") / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    return [write_patient(synthetic_patient(seed, spacing=4.0), folder) for seed in (1, 2, 3)]


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
