"""Training from the window: its buttons are pressed, real processes train, and the window may close meanwhile."""

import functools
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import host
import pytest
from module.driving import wait_until
from module_training.conftest import cells, fill_in
from tokenunet.training.experiment.experiment import Experiment
from TokenUNetSegmentationLib.process.worker import WorkerProcess
from training_fixtures import fabricated_experiment


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
    from tokenunet.training.request import TrainingRequest
    from TokenUNetTrainingLib.logic.run import TrainingRun

    def start(request: TrainingRequest) -> TrainingRun:
        return TrainingRun(request, functools.partial(WorkerProcess, python=str(tmp_path / "python")))

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


def test_the_check_lists_what_is_wrong(module: host.LoadedModule, patients: Path, tmp_path: Path) -> None:
    data = tmp_path / "patients"
    shutil.copytree(patients, data)
    next(data.glob("*11/*_t2.nii.gz")).unlink()
    ui = fill_in(module, data, tmp_path / "experiment")
    ui.checkButton.click()
    assert ui.checkButton.text == "Stop checking"
    wait_until(lambda: not module.widget.dataPanel.running, 120)
    assert "4 patients" in ui.checkLabel.text
    assert "1 errors" in ui.checkLabel.text
    assert any(row[1].startswith("✘") and "T2" in row[1] for row in cells(ui.findingsTable))
    ui.dataPath.setCurrentPath(str(patients))
    assert not ui.findingsTable.isVisible()


def test_groups_are_listed_when_the_folder_is_chosen(module: host.LoadedModule, tmp_path: Path) -> None:
    """Without a click, and without reading the files, which hold no images."""
    for session in ("P1/week-000", "P1/week-020", "P2/week-000"):
        (tmp_path / "data" / session).mkdir(parents=True)
        for name in ("t1", "t1ce", "t2", "flair", "seg"):
            (tmp_path / "data" / session / f"{name}.nii.gz").touch()
    ui = fill_in(module, tmp_path / "data", tmp_path / "experiment")
    wait_until(lambda: ui.groupsLabel.text != "", 120)
    assert ui.groupsLabel.text.endswith("<br>P1: P1_week-000, P1_week-020")
    ui.dataPath.setCurrentPath(str(tmp_path))
    assert not ui.groupsLabel.visible


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
    assert "“Resume” continues" in ui.messageLabel.text
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
from module_training.conftest import fill_in
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
    assert "“Resume” continues" in ui.messageLabel.text
    assert cells(ui.foldsTable)[0][3] == "interrupted"
