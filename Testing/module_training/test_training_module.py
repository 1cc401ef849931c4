"""Training from the window: its buttons are pressed, real processes train, and the window may close meanwhile."""

import functools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
from host.heartbeat import Heartbeat
from module.driving import wait_until
from module_training.conftest import MODULE, open_module
from tokenunet.training.experiment import Experiment
from tokenunet.training.fold_folder import append_log
from TokenUNetSegmentationLib.worker import WorkerProcess
from training_fixtures import fabricated_experiment

TINY = {"epochs": "2", "patch_size": "32", "accumulation": "2", "workers": "0"}


def fill_in(module: host.LoadedModule, data: Path, experiment: Path, **settings: str) -> Any:
    """Fills the panel in for a training of seconds; returns its widgets."""
    ui = module.widget.ui
    ui.dataPath.setCurrentPath(str(data))
    ui.experimentPath.setCurrentPath(str(experiment))
    ui.architecture_token_unet_transformer.setChecked(False)
    ui.architecture_unet_star.setChecked(True)
    ui.foldsBox.setValue(2)
    ui.deviceBox.setCurrentIndex(3)
    for name, value in (TINY | settings).items():
        getattr(ui, f"setting_{name}").setText(value)
    return ui


def cells(table: Any) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_buttons_say_why_they_cannot_be_pressed(module: host.LoadedModule, tmp_path: Path) -> None:
    ui = module.widget.ui
    assert not ui.startButton.enabled
    assert "patients" in ui.startButton.toolTip
    ui.dataPath.setCurrentPath(str(tmp_path))
    assert "folder for the experiment" in ui.startButton.toolTip
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    ui.experimentPath.setCurrentPath(str(tmp_path / "thesis"))
    assert "not empty" in ui.startButton.toolTip
    ui.experimentPath.setCurrentPath("")
    assert "folder for the experiment" in ui.startButton.toolTip
    ui.experimentPath.setCurrentPath(str(tmp_path / "new"))
    assert ui.startButton.enabled
    ui.architecture_token_unet_transformer.setChecked(False)
    assert "at least one architecture" in ui.startButton.toolTip
    assert "no experiment" in ui.resumeButton.toolTip
    assert "No training is running" in ui.stopNowButton.toolTip
    assert not ui.caseButton.enabled


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(
    module: host.LoadedModule, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    ui = fill_in(module, patients, tmp_path / "file" / "experiment")
    ui.startButton.click()
    wait_until(lambda: ui.startButton.enabled, 120)
    assert "cannot be written" in ui.messageLabel.text
    assert str(tmp_path / "file") in ui.messageLabel.text
    ui.experimentPath.setCurrentPath(str(tmp_path / "elsewhere"))
    assert ui.messageLabel.text == "", "it was said of the other folder"


def test_a_process_that_dies_before_its_first_word_is_reported(
    module: host.LoadedModule, patients: Path, tmp_path: Path
) -> None:
    from TokenUNetTrainingLib.training_run import TrainingRun

    def start(command: list[str]) -> TrainingRun:
        return TrainingRun(command, functools.partial(WorkerProcess, python=str(tmp_path / "python")))

    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no memory left >&2\nexit 9\n")
    python.chmod(0o755)
    ui = fill_in(module, patients, tmp_path / "experiment")
    module.widget.trainingPanel.start_run = start
    ui.startButton.click()
    wait_until(lambda: ui.startButton.enabled)
    assert "ended unexpectedly. no memory left" in ui.messageLabel.text
    python.unlink()
    ui.startButton.click()
    assert "No such file" in ui.messageLabel.text
    assert ui.startButton.enabled


def test_a_stop_that_cannot_be_written_is_said(
    module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet",), 2, 1)
    ui = module.widget.ui
    with experiment.training_process():
        ui.experimentPath.setCurrentPath(str(experiment.folder))
        (experiment.folder / "stop").mkdir()
        ui.stopNowButton.click()
        assert "cannot be written" in ui.messageLabel.text
        (experiment.folder / "stop").rmdir()
        ui.stopAfterEpochButton.click()
        assert experiment.stop_requested() == "epoch"
        assert "after this epoch" in ui.messageLabel.text


def test_presets_show_their_numbers_and_the_scene_keeps_what_was_typed(module: host.LoadedModule) -> None:
    ui = module.widget.ui
    assert ui.setting_epochs.placeholderText == "20"
    ui.presetBox.setCurrentIndex(2)
    assert ui.setting_epochs.placeholderText == "60"
    assert ui.setting_patch_size.placeholderText == "128, 128, 128"
    assert ui.setting_learning_rate.placeholderText == "0.01"
    ui.setting_epochs.setText("7")
    assert module.widget.trainingPanel.request().settings == {"epochs": "7"}
    again = open_module()
    assert again.widget.ui.setting_epochs.text == "7"
    assert again.widget.ui.presetBox.currentIndex == 2
    again.close()


def test_the_check_lists_what_is_wrong(module: host.LoadedModule, patients: Path, tmp_path: Path) -> None:
    data = tmp_path / "patients"
    shutil.copytree(patients, data)
    next(data.glob("*31/*_t2.nii.gz")).unlink()
    ui = fill_in(module, data, tmp_path / "experiment")
    ui.checkButton.click()
    assert ui.checkButton.text == "Stop checking"
    wait_until(lambda: not module.widget.dataPanel.running, 120)
    assert "4 patients" in ui.checkLabel.text
    assert "1 errors" in ui.checkLabel.text
    assert any(row[1].startswith("✘") and "T2" in row[1] for row in cells(ui.findingsTable))
    ui.dataPath.setCurrentPath(str(patients))
    assert not ui.findingsTable.isVisible()


def test_bad_data_are_refused_before_anything_is_written(
    module: host.LoadedModule, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "patients").mkdir()
    shutil.copytree(next(patients.iterdir()), tmp_path / "patients" / "only_one")
    ui = fill_in(module, tmp_path / "patients", tmp_path / "experiment")
    ui.startButton.click()
    assert not ui.startButton.enabled
    wait_until(lambda: ui.startButton.enabled, 120)
    assert "cannot be trained on" in ui.messageLabel.text
    assert not (tmp_path / "experiment").exists()


@pytest.mark.slow
def test_a_training_from_the_first_click_to_a_model_and_a_case(
    module: host.LoadedModule, patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    ui = fill_in(module, patients, tmp_path / "experiment")
    ui.startButton.click()
    wait_until(lambda: module.widget.watch.running, 120)
    assert ui.stopNowButton.enabled
    assert not ui.startButton.enabled
    wait_until(lambda: ui.messageLabel.text == "All folds are trained.", 300)
    assert [row[1] for row in cells(ui.foldsTable)] == ["2/2", "2/2"]
    assert [row[3] for row in cells(ui.foldsTable)] == ["finished", "finished"]

    ui.curvesBox.setCurrentIndex(1)
    [chart] = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    lines = Experiment(tmp_path / "experiment").jobs()[0].log_lines()
    losses = [line["loss"] for line in lines if line["event"] == "epoch"]
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    assert [table.GetTable().GetValue(row, 1).ToDouble() for row in range(2)] == pytest.approx(losses)
    ui.curvesBox.setCurrentIndex(3)
    [chart] = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    ui.curvesBox.setCurrentIndex(0)
    assert not slicer.util.getNodesByClass("vtkMRMLPlotChartNode")

    [[name, *dice]] = cells(ui.resultsTable)
    summary = json.loads((tmp_path / "experiment" / "summary.json").read_text())["architectures"]["unet_star"]
    assert name == "UNet**"
    assert dice[0].startswith(f"{100 * summary['dice']['WT']['mean']:.1f}")

    assert ui.casesTable.rowCount == 4
    ui.casesTable.selectRow(1)
    ui.caseButton.click()
    case = cells(ui.casesTable)[1][0]
    [segmentation] = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    assert slicer.util.getNode(f"{case} T1ce") is not None

    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    said: list[str] = []
    monkeypatch.setattr(slicer.util, "infoDisplay", lambda text, *_: said.append(text))
    ui.useButton.click()
    assert not ui.useButton.enabled
    wait_until(lambda: bool(said), 120)
    assert (tmp_path / "models" / "experiment-unet_star" / "model.json").exists()


@pytest.mark.slow
def test_stopped_and_resumed_by_its_buttons(module: host.LoadedModule, patients: Path, tmp_path: Path) -> None:
    ui = fill_in(module, patients, tmp_path / "experiment", epochs="40")
    ui.startButton.click()
    wait_until(lambda: module.widget.watch.running and module.widget.watch.progress.folds[0].epoch > 0, 120)
    ui.stopNowButton.click()
    wait_until(lambda: ui.resumeButton.enabled, 60)
    epochs = module.widget.watch.progress.folds[0].epoch
    assert 0 < epochs < 40
    assert "“Resume” goes on" in ui.messageLabel.text
    ui.resumeButton.click()
    wait_until(lambda: module.widget.watch.running and module.widget.watch.progress.folds[0].epoch > epochs, 120)
    ui.stopAfterEpochButton.click()
    wait_until(lambda: ui.resumeButton.enabled, 60)
    assert Experiment(tmp_path / "experiment").jobs()[0].log_lines()[-1]["event"] in ("epoch", "validation")


@pytest.mark.slow
def test_a_training_outlives_the_window_and_is_found_again(
    module: host.LoadedModule, patients: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "experiment"
    script = f"""
import sys
sys.path[:0] = {[str(path) for path in sys.path]!r}
import host, pathlib, time, slicer
host.start()
from module_training.conftest import open_module
from module_training.test_training_module import fill_in
module = open_module()
fill_in(module, pathlib.Path({str(patients)!r}), pathlib.Path({str(folder)!r}), epochs="40").startButton.click()
while not (module.widget.watch.running and module.widget.watch.progress.folds[0].epoch):
    slicer.app.processEvents()
    time.sleep(0.02)
print("training", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as window:
        assert window.stdout is not None
        assert "training" in window.stdout.read(9)
        window.send_signal(signal.SIGKILL)
    process = Experiment(folder).running_process()
    assert process is not None
    before = len(Experiment(folder).jobs()[0].log_lines())
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(folder))
    wait_until(lambda: len(module.widget.watch.progress.experiment.jobs()[0].log_lines()) > before + 3, 60)
    assert module.widget.watch.running
    assert ui.stopNowButton.enabled
    assert cells(ui.foldsTable)[0][1].endswith("/40")
    process.kill()
    process.wait(10)
    wait_until(lambda: ui.resumeButton.enabled, 20)
    assert "“Resume” goes on" in ui.messageLabel.text
    assert cells(ui.foldsTable)[0][3] == "interrupted"


def test_an_experiment_is_looked_at_without_torch_and_in_a_blink(module: host.LoadedModule, tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("token_unet_transformer", "unet"), 5)
    began = time.perf_counter()
    module.widget.ui.experimentPath.setCurrentPath(str(experiment.folder))
    module.widget.onTimer()
    assert time.perf_counter() - began < 1
    assert module.widget.ui.foldsTable.rowCount == 10
    code = "import sys, tokenunet.training.progress, tokenunet.training.configuration; print('torch' in sys.modules)"
    paths = {"PYTHONPATH": str(MODULE.parents[1] / "TokenUNetSegmentation")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=paths)
    assert result.stdout.strip() == "False"


def test_curves_grow_while_it_runs_and_belong_to_the_experiment_that_is_shown(
    module: host.LoadedModule, tmp_path: Path
) -> None:
    import slicer

    one = fabricated_experiment(tmp_path / "one", ("unet_star",), 2, 1)
    other = fabricated_experiment(tmp_path / "other", ("unet",), 2, 1)
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(one.folder))
    ui.curvesBox.setCurrentIndex(1)
    [chart] = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    growing = chart.GetNthPlotSeriesNode(1)
    assert growing.GetName() == "UNet**, fold 1"
    rows = growing.GetTableNode().GetNumberOfRows()
    append_log(one.jobs()[1].log, {"event": "epoch", "epoch": rows + 1, "loss": 0.25})
    wait_until(lambda: growing.GetTableNode().GetNumberOfRows() == rows + 1, 10)
    assert slicer.util.arrayFromTableColumn(growing.GetTableNode(), "y")[-1] == 0.25
    ui.experimentPath.setCurrentPath(str(other.folder))
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")]
    assert names == ["U-Net, fold 0", "U-Net, fold 1"]


def test_a_box_has_its_quartiles(app: Any) -> None:
    from TokenUNetTrainingLib.curves import box_outline

    outline = box_outline(2.0, [0.1, 0.3, 0.5, 0.7, 0.9])
    assert sorted(set(outline[:-1, 1])) == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert np.isnan(outline[-1]).all()
    assert (np.nanmin(outline[:, 0]) + np.nanmax(outline[:, 0])) / 2 == pytest.approx(2)


def longest_block_of_reading(module: host.LoadedModule, experiment: Experiment) -> float:
    """Seconds, from choosing the folder until all is shown."""
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath("")
    ui.curvesBox.setCurrentIndex(1)
    heartbeat = Heartbeat()
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    wait_until(lambda: module.widget.watch.progress.folds[-1].epoch == 60 and heartbeat.longest > 0, 30)
    heartbeat.stop()
    return heartbeat.longest


def test_the_window_stays_alive_while_sixty_thousand_lines_are_read(module: host.LoadedModule, tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("token_unet_transformer", "unet"), 5, 0)
    values = {"loss": 0.512345678, "learning_rate": 0.001, "gradient_norm": 0.987654321, "seconds": 0.51}
    for job in experiment.jobs():
        steps = [
            {"event": "step", "step": n, "epoch": n // 100 + 1, "peak_memory_bytes": 10**9, "time": 1.7e9, **values}
            for n in range(1, 6001)
        ]
        job.folder.mkdir(parents=True, exist_ok=True)
        with job.log.open("a") as log:
            log.write(json.dumps({"event": "started", "total_epochs": 60, "steps_per_epoch": 100}) + "\n")
            for step in steps:
                log.write(json.dumps(step) + "\n")
                if step["step"] % 100 == 0:
                    log.write(json.dumps({"event": "epoch", "epoch": step["step"] // 100, "loss": 0.5}) + "\n")
    # Other programs on this computer stop the window too, but hardly three times in a row.
    longest = min(longest_block_of_reading(module, experiment) for _ in range(3))
    print(f"longest block {1000 * longest:.0f} ms")
    assert longest <= 0.1


def test_it_opens_before_anything_is_installed(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment")
    script = f"""
import sys
sys.path[:0] = {[str(path) for path in sys.path]!r}
packages = "torch monai safetensors psutil jinja2 einops lightning_fabric matplotlib scipy tensorboard"
sys.modules |= dict.fromkeys(packages.split())
import host, pathlib
host.start()
ui = host.load_module(pathlib.Path({str(MODULE)!r})).widget.ui
print("opened", ui.startButton.toolTip)
ui.experimentPath.setCurrentPath({str(experiment.folder)!r})
print("resume", ui.resumeButton.toolTip)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "opened Choose the folder with the patients." in run.stdout, run.stderr[-2000:]
    assert "resume Install what is missing" in run.stdout


def test_what_is_missing_is_asked_for_before_a_training(
    module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer
    from packaging.requirements import Requirement

    questions: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *_: bool(questions.append(text)))
    module.widget.trainingPanel.installation.missing = [Requirement("lightning-fabric>=2.4")]
    ui = fill_in(module, tmp_path, tmp_path / "experiment")
    assert "first this asks to install lightning-fabric" in ui.startButton.toolTip
    assert ui.missingFrame.visible
    ui.startButton.click()
    ui.checkButton.click()
    assert ["lightning-fabric" in question for question in questions] == [True, True]
    assert ui.startButton.enabled, "declined: nothing runs"
    assert not module.widget.dataPanel.running


def test_the_self_test_passes(module: host.LoadedModule) -> None:
    import slicer

    slicer.modules.TokenUNetTrainingInstance.runTest(msec=0)
