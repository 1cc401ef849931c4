"""The worker that is kept ready: it makes clicks quick, works once, and is gone when it should be."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import host
import psutil
import pytest
from model_fixtures import small_bundle
from module.conftest import MODULE
from module.driving import node_ids, segment, wait_until
from waiting import crowding

_IDLE_S = 0.5


@pytest.fixture
def ready(module: host.LoadedModule, volumes: dict[str, Any], tmp_path: Path) -> host.LoadedModule:
    """A patient loaded and a small model chosen; the module has not been entered yet."""
    model_box = module.widget.ui.modelBox
    model_box.addItem("small", str(small_bundle(tmp_path / "model")))
    model_box.setCurrentIndex(model_box.count - 1)
    return module


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For each run, the seconds between giving the worker its job and hearing of its progress."""
    from TokenUNetSegmentationLib.process import warm_worker as warm_worker_module
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    seconds: list[float] = []

    class TimedWorker(WorkerProcess):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._began: float | None = time.monotonic()
            super().__init__(*arguments, **options)

        def new_events(self) -> list[Any]:
            events = super().new_events()
            if events and self._began is not None:
                seconds.append(time.monotonic() - self._began)
                self._began = None
            return events

    monkeypatch.setattr(warm_worker_module, "WorkerProcess", TimedWorker)
    return seconds


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _wait_until_idle(process: psutil.Process) -> None:
    """Until it has imported everything: it does nothing any more."""
    since, used = time.monotonic(), 0.0
    while used == 0.0 or time.monotonic() - since < _IDLE_S:
        time.sleep(0.05)
        if (now := sum(process.cpu_times()[:2])) != used:
            since, used = time.monotonic(), now


def _enter(module: host.LoadedModule) -> psutil.Process:
    """Enters the module; returns the worker once it is ready."""
    module.widget.enter()
    (warm_worker,) = _children()
    _wait_until_idle(warm_worker)
    return warm_worker


def test_clicks_need_not_wait_for_pytorch(ready: host.LoadedModule, waits: list[float], app: Any) -> None:
    segment(ready)
    assert _children() == [], "nothing is kept ready for a module that is not looked at"
    warm_worker = _enter(ready)
    memory = warm_worker.memory_info().rss
    first = segment(ready)
    assert ready.widget.ui.messageLabel.text.startswith("Done."), ready.widget.runPanel._run.log
    assert not warm_worker.is_running(), "it must not see another patient"
    (following,) = _children()
    _wait_until_idle(following)
    second = segment(ready)
    assert first.region("WT").sum() == second.region("WT").sum()
    cold, *warm = waits
    print(f"first progress after {cold:.2f} s cold, {max(warm):.3f} s warm; {memory / 1e6:.0f} MB are kept for it")
    assert cold <= 10.0 * crowding()
    assert max(warm) <= 1.0 * crowding()
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_click_before_it_is_ready_works(ready: host.LoadedModule, app: Any) -> None:
    ready.widget.enter()
    (warm_worker,) = _children()
    segment(ready)
    assert ready.widget.ui.messageLabel.text.startswith("Done."), ready.widget.runPanel._run.log
    assert not warm_worker.is_running()


def test_cancelled_run_leaves_everything_as_it_was(ready: host.LoadedModule, app: Any) -> None:
    warm_worker = _enter(ready)
    nodes = node_ids()
    ui = ready.widget.ui
    ui.segmentButton.click()
    wait_until(lambda: "Exporting" not in ui.progressBar.format)
    ui.cancelButton.click()
    wait_until(lambda: not ready.widget.runPanel.running)
    assert "Cancelled" in ui.messageLabel.text
    assert not warm_worker.is_running()
    assert node_ids() == nodes
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_killed_while_waiting_leads_to_a_cold_run(ready: host.LoadedModule, waits: list[float], app: Any) -> None:
    warm_worker = _enter(ready)
    warm_worker.send_signal(signal.SIGKILL)
    segment(ready)
    assert ready.widget.ui.messageLabel.text.startswith("Done."), ready.widget.runPanel._run.log
    assert len(waits) == 1
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_killed_while_waiting_is_replaced_when_the_module_is_entered_again(module: host.LoadedModule) -> None:
    warm_worker = _enter(module)
    module.widget.enter()
    assert _children() == [warm_worker], "one is enough"
    warm_worker.send_signal(signal.SIGKILL)
    wait_until(lambda: module.widget.runPanel.warm_worker._process.poll() is not None)
    module.widget.enter()
    (following,) = _children()
    assert following != warm_worker


def test_killed_at_work_is_said(ready: host.LoadedModule, monkeypatch: pytest.MonkeyPatch, app: Any) -> None:
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    warm_worker = _enter(ready)
    new_events = WorkerProcess.new_events

    def kill_at_first(worker: WorkerProcess) -> list[Any]:
        if events := new_events(worker):
            with suppress(psutil.NoSuchProcess):  # what it wrote before the signal is read after its end
                psutil.Process(worker.process_id).send_signal(signal.SIGKILL)
        return events[:1]

    monkeypatch.setattr(WorkerProcess, "new_events", kill_at_first)
    segment(ready)
    assert "killed by the system" in ready.widget.ui.messageLabel.text
    assert not warm_worker.is_running()
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_leaves_with_the_module_and_is_new_with_a_new_scene(app: Any, tmp_path: Path) -> None:
    import slicer

    app.temporaryPath = str(tmp_path)
    module = host.load_module(MODULE)
    assert _children() == []
    warm_worker = _enter(module)
    slicer.mrmlScene.Clear(False)
    assert not warm_worker.is_running()
    (following,) = _children()
    module.close()
    assert not following.is_running()
    assert _children() == []
    assert list(tmp_path.iterdir()) == []


def test_ends_when_nobody_clicks(module: host.LoadedModule) -> None:
    module.widget.runPanel.warm_worker._timer.setInterval(200)
    module.widget.enter()
    assert len(_children()) == 1
    wait_until(lambda: _children() == [], 10.0)


def test_nothing_is_started_while_packages_are_missing(module: host.LoadedModule) -> None:
    from packaging.requirements import Requirement

    module.widget.runPanel.installation.missing = [Requirement("torch")]
    module.widget.enter()
    assert _children() == []


_APPLICATION = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from TokenUNetSegmentationLib.process.worker import WorkerProcess, start_warm_worker
warm_worker = start_warm_worker()
if sys.argv[2:]:
    worker = WorkerProcess(sys.argv[3:], Path(sys.argv[2]), warm_worker=warm_worker)
print(warm_worker.pid, flush=True)
time.sleep(600)
"""


def _kill_application(job: Sequence[str], before: Any) -> None:
    """Kills a process in Slicer's place, after something has happened, and waits for the worker's end."""
    script = [sys.executable, "-c", _APPLICATION, str(MODULE.parent), *job]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as application:
        assert application.stdout
        worker = psutil.Process(int(application.stdout.readline()))
        before(worker)
        application.kill()
        assert psutil.wait_procs([worker], timeout=10)[1] == []


def test_ends_when_slicer_is_killed() -> None:
    _kill_application([], _wait_until_idle)


def test_ends_when_slicer_is_killed_while_it_starts() -> None:
    _kill_application([], lambda worker: None)


def test_its_work_folder_goes_when_slicer_is_killed_during_the_run(app: Any, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()

    def wait_for_work(worker: psutil.Process) -> None:
        events = str(work / "events.jsonl")
        wait_until(lambda: any(file.path == events for file in worker.open_files()))

    _kill_application([str(work), "synth", "--patients", "50", "--output", str(work / "patients")], wait_for_work)
    assert not work.exists()
