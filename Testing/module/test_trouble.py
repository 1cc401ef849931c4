"""What goes wrong leaves scene, disk and earlier results as they were, and is said in one sentence."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import host
import psutil
import pytest
from host.messages import collected_messages
from module.driving import node_ids, segment, wait_until
from module.file_systems import mounted

STAGES = ("Reading", "Preparing", "Segmenting", "Resampling", "Writing")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_worker_leaves_everything_as_it_was(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any, stage: str
) -> None:
    earlier = segment(module)
    nodes = node_ids()
    standin.setenv("STANDIN_PAUSE", "0.05")
    ui = module.widget.ui
    ui.segmentButton.click()
    wait_until(lambda: stage in ui.progressBar.format)
    for process in psutil.Process().children():
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not module.widget.runPanel.running)
    assert "killed by the system" in ui.messageLabel.text
    assert stage in ui.messageLabel.text, "the bar calls the stage so"
    assert module.widget.result() == earlier
    assert node_ids() == nodes
    assert list(Path(app.temporaryPath).iterdir()) == []
    ui.diagnosticsButton.click()
    diagnosis = app.clipboard().text()
    assert "reading the scans" in diagnosis
    assert "Anna" not in diagnosis, "the patient's name is in the diagnostics"
    assert ui.segmentButton.enabled


def test_error_of_the_worker_is_shown_with_its_hint(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    nodes = node_ids()
    standin.setenv("STANDIN_ERROR", "grid_mismatch")
    segment(module)
    assert module.widget.ui.messageLabel.text == "<b>⚠</b> “Anna_T2” does not cover the brain. Load another T2."
    assert node_ids() == nodes
    module.widget.ui.logButton.click()
    assert module.widget.ui.logView.visible
    assert "reading the scans" in module.widget.ui.logView.plainText


def test_worker_that_cannot_start_says_so(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    standin.delenv("STANDIN_RESULT")
    segment(module)
    assert "ended unexpectedly" in module.widget.ui.messageLabel.text
    assert "KeyError" in module.widget.runPanel._run.log
    assert list(Path(app.temporaryPath).iterdir()) == []


@pytest.mark.parametrize(
    ("exit_code", "log", "said"),
    [
        (1, "reading the scans", "killed by the system"),
        (1, "Traceback (most recent call last):", "ended unexpectedly"),
        (-6, "reading the scans", "ended unexpectedly"),
    ],
)
def test_python_slicer_hides_what_killed_its_child(
    module: host.LoadedModule, tmp_path: Path, exit_code: int, log: str, said: str
) -> None:
    from TokenUNetSegmentationLib.logic.run import crash_sentence

    assert said in crash_sentence(exit_code, log, "predict", tmp_path)[0]


def test_closing_slicer_midway_ends_all_processes(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    standin.setenv("STANDIN_PAUSE", "0.2")
    standin.setenv("STANDIN_CHILD", "1")
    module.widget.ui.segmentButton.click()
    wait_until(lambda: "child" in module.widget.runPanel._run.log)
    tree = psutil.Process().children(recursive=True)
    assert len(tree) >= 2
    app.emit("aboutToQuit()")
    assert psutil.wait_procs(tree, timeout=5)[1] == []
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_closing_the_scene_midway_ends_the_run(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    standin.setenv("STANDIN_PAUSE", "0.2")
    module.widget.ui.segmentButton.click()
    wait_until(lambda: "Reading" in module.widget.ui.progressBar.format)
    slicer.mrmlScene.Clear(False)
    app.processEvents()
    assert not module.widget.runPanel.running
    assert psutil.Process().children() == []
    assert module.widget.ui.segmentButton.toolTip == "Select the T1 volume."


def test_removing_an_input_midway_is_said(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    import slicer

    standin.setenv("STANDIN_PAUSE", "0.05")
    module.widget.ui.segmentButton.click()
    wait_until(lambda: "Segmenting" in module.widget.ui.progressBar.format)
    slicer.mrmlScene.RemoveNode(volumes["T2"])
    wait_until(lambda: not module.widget.runPanel.running)
    assert "T2 volume was removed" in module.widget.ui.messageLabel.text
    assert module.widget.result() is None


def test_worker_ends_when_slicer_is_killed(tmp_path: Path) -> None:
    """The watch of `watched_worker.py`, with a process in Slicer's place."""
    work = tmp_path / "work"
    work.mkdir()
    slow = tmp_path / "slow" / "tokenunet"
    process = slow.parent / "Lib" / "process"
    for folder in (slow, process):
        folder.mkdir(parents=True)
    (slow / "__init__.py").write_text("")
    (slow / "cli.py").write_text(
        "import time\ndef main(arguments):\n    print('up', flush=True)\n    time.sleep(600)\n"
    )
    library = Path(__file__).resolve().parents[2] / "TokenUNetSegmentation" / "TokenUNetSegmentationLib"
    script = shutil.copy(library / "process" / "watched_worker.py", process)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as slicer_process:
        command = [sys.executable, script, str(slicer_process.pid), str(work), "segment"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
            assert worker.stdout and worker.stdout.readline() == b"up\n"
            slicer_process.kill()
            assert worker.wait(timeout=10) == 130
    assert not work.exists()


def test_work_folder_of_a_killed_slicer_is_removed_at_the_next_run(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = Path(app.temporaryPath) / f"tokenunet-run-{process.pid}-abc"
    left.mkdir()
    segment(module)
    assert not left.exists()


def test_read_only_temporary_folder_is_said(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any, tmp_path: Path
) -> None:
    app.temporaryPath = "/proc/self"  # not even the superuser can write there
    nodes = node_ids()
    segment(module)
    assert re.search("/proc/self cannot be written", module.widget.ui.messageLabel.text)
    assert node_ids() == nodes


@pytest.fixture
def full_disk(tmp_path: Path) -> Any:
    """A small file system of its own; skipped where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "size=1m"):
        yield folder


def test_full_disk_is_said(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any, full_disk: Path
) -> None:
    earlier = segment(module)
    nodes = node_ids()
    app.temporaryPath = str(full_disk)
    with collected_messages():  # Slicer says it, too
        segment(module)
    assert re.search("cannot be written|disk .* is full", module.widget.ui.messageLabel.text)
    assert node_ids() == nodes
    assert module.widget.result() == earlier
    assert list(full_disk.iterdir()) == []
