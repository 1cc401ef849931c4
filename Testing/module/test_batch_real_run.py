"""Many patients in the panel with the real worker: paused, killed, resumed and stopped."""

import functools
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import host
import psutil
import pytest
from model_fixtures import SMALL_MANIFEST, small_bundle
from module.driving import wait_until

wait_for_worker = functools.partial(wait_until, seconds=400)
"""Its processes import PyTorch twice, which takes minutes on a busy computer."""


@pytest.fixture
def ready(module: host.LoadedModule, tmp_path: Path, app: Any) -> host.LoadedModule:
    """A small model and five equal patients chosen."""
    from tokenunet.synthesis import synthetic_patient, write_patient

    patient = write_patient(synthetic_patient(1, spacing=4.0), tmp_path)
    for number in range(1, 6):
        shutil.copytree(patient, tmp_path / "patients" / f"patient_{number}")
    manifest = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))
    box = module.widget.ui.modelBox
    box.addItem("small", str(small_bundle(tmp_path / "model", manifest)))
    box.setCurrentIndex(box.count - 1)
    module.widget.batchPanel._ui.batchPlace.setCurrentPath(str(tmp_path / "patients"))
    return module


@pytest.mark.slow
def test_real_batch_is_paused_killed_resumed_and_stopped(ready: host.LoadedModule, tmp_path: Path) -> None:
    panel, ui = ready.widget.batchPanel, ready.widget.batchPanel._ui

    def worker() -> psutil.Process:
        return psutil.Process(panel.batch._worker.process_id)

    def stopped(process: psutil.Process) -> bool:
        return process.status() == psutil.STATUS_STOPPED

    ui.batchStartButton.click()
    wait_for_worker(lambda: panel.batch.count("ok") >= 1)
    ui.batchPauseButton.click()
    children = worker().children(recursive=True)
    wait_for_worker(lambda: all(map(stopped, children)))
    assert not stopped(worker()), "nobody would notice the end of Slicer"
    assert "paused" in ui.batchProgress.format
    ui.batchPauseButton.click()
    wait_for_worker(lambda: not any(map(stopped, children)))

    os.kill(worker().pid, signal.SIGKILL)
    wait_for_worker(lambda: not panel.working)
    assert "ended unexpectedly" in ui.batchMessage.text
    done = panel.batch.count("ok")
    assert 1 <= done < 4, "patients are left, also if one was finished right before the end"
    psutil.wait_procs(children, timeout=100)

    assert ui.batchStartButton.text == "Resume"
    ui.batchStartButton.click()
    wait_for_worker(lambda: panel.batch.count("skipped") >= done and panel.batch.count("running") == 1)
    children = worker().children(recursive=True)
    ui.batchStopButton.click()
    wait_for_worker(lambda: not panel.working)
    psutil.wait_procs(children, timeout=100)
    assert ui.batchMessage.text.endswith(" left.")
    assert panel.batch.count("running") == 0
    results = tmp_path / "patients_results"
    assert not list(results.rglob(".unfinished*"))
    assert len(list(results.glob("*/run.json"))) == panel.batch.count("ok", "skipped")
