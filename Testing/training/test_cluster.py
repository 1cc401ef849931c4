"""The folds of an experiment on Ray, with a worker that dies."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import start_command
from tokenunet.training.experiment.experiment import Experiment
from training.test_jobs import TINY
from training_fixtures import write_small_patients

LONGER = ("--set", "epochs=4", "--set", "validate_every=4")
"""Long enough to be killed after its second step, and validated once, which takes longer than training."""
COMMAND = ["train", "--device", "auto", "--progress", "json"]
# Results are the same to the last bit only where as many threads add the numbers up; Ray gives a job of one CPU one.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train(*arguments: str) -> None:
    with start_command([*COMMAND, *arguments], ENVIRONMENT) as process:
        _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors


def kill_a_worker(folder: Path, killed: list[int]) -> None:
    """Kills the process that trains a fold, once it has saved something."""
    while not killed:
        for checkpoint in folder.glob("*/fold_*/checkpoints/step_00000002.pt"):
            workers = [p for p in psutil.process_iter(["name"]) if "_train_job" in (p.info["name"] or "")]
            if checkpoint.exists() and workers:
                workers[0].kill()
                killed.append(workers[0].pid)
                break
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_numbers_are_those_of_a_local_run(tmp_path: Path) -> None:
    patients = write_small_patients(tmp_path / "patients", range(11, 15))
    arguments = ["--data", str(patients), *TINY, *LONGER, "--architectures", "unet_star"]
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "cluster", killed), daemon=True)
    killer.start()
    train(*arguments, "--output", str(tmp_path / "cluster"), "--cluster", "local")
    assert killed
    train(*arguments, "--output", str(tmp_path / "local"))
    on_cluster, locally = (Experiment(tmp_path / name) for name in ("cluster", "local"))
    for there, here in zip(on_cluster.jobs(), locally.jobs(), strict=True):
        assert there.last_weights.read_bytes() == here.last_weights.read_bytes()
        assert cases_of(there.metrics) == cases_of(here.metrics)
        steps = [[line["step"] for line in job.log_lines() if line["event"] == "step"] for job in (there, here)]
        assert steps[0] == steps[1]
    events = [line["event"] for line in on_cluster.log_lines()]
    assert events.count("fold_started") == 3, "two folds, one of them twice"
    assert events[-1] == "finished"


def cases_of(metrics: Path) -> list[dict[str, Any]]:
    return [{"case": row["case"], "dice": row["dice"]} for row in json.loads(metrics.read_text())["cases"]]


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    patients = write_small_patients(tmp_path / "patients", range(11, 13))
    arguments = ["--data", str(patients), "--labels", "brats", *TINY, "--output", str(tmp_path / "experiment")]
    with start_command([*COMMAND, *arguments, "--cluster", "127.0.0.1:1"], ENVIRONMENT) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 5
    assert "There is no Ray cluster at 127.0.0.1:1" in errors
