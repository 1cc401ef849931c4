"""What the Training panel says before anything runs, and that it opens before anything is installed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import host
import pytest
from module.conftest import app  # noqa: F401  the same host
from module_training.conftest import MODULE, fill_in, open_module
from training_fixtures import fabricated_experiment


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
    for text, said in (("0", "epochs must be from 1 to 100000, not 0"), ("many", "epochs cannot be 'many'")):
        module.widget.trainingPanel.edits["epochs"].setText(text)
        assert not ui.startButton.enabled
        assert said in ui.startButton.toolTip
    module.widget.trainingPanel.edits["epochs"].setText("")
    assert ui.startButton.enabled
    module.widget.trainingPanel.boxes["token_unet_transformer"].setChecked(False)
    assert "at least one architecture" in ui.startButton.toolTip
    assert "no experiment" in ui.resumeButton.toolTip
    assert "No training is running" in ui.stopNowButton.toolTip
    assert not ui.caseButton.enabled


def test_presets_show_their_numbers_and_the_scene_keeps_what_was_typed(module: host.LoadedModule) -> None:
    ui, edits = module.widget.ui, module.widget.trainingPanel.edits
    assert edits["epochs"].placeholderText == "20"
    ui.presetBox.setCurrentIndex(2)
    assert edits["epochs"].placeholderText == "60"
    assert edits["patch_size"].placeholderText == "128, 128, 128"
    assert edits["learning_rate"].placeholderText == "0.01"
    edits["epochs"].setText("7")
    assert module.widget.trainingPanel.request().settings == {"epochs": "7"}
    again = open_module()
    assert again.widget.trainingPanel.edits["epochs"].text == "7"
    assert again.widget.ui.presetBox.currentIndex == 2
    again.close()


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


def test_form_shows_the_experiment_after_a_restart(module: host.LoadedModule, tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet", "token_unet"), 3, 1)
    module.widget.ui.experimentPath.setCurrentPath(str(experiment.folder))
    import slicer

    slicer.mrmlScene.Clear(False)  # only the settings remember the experiment
    again = open_module()
    ui, request = again.widget.ui, again.widget.trainingPanel.request()
    assert ui.experimentPath.currentPath == str(experiment.folder)
    assert ui.dataPath.currentPath == "absent"
    boxes = again.widget.trainingPanel.boxes
    assert (boxes["unet"].checked, boxes["token_unet_transformer"].checked) == (True, False)
    assert (set(request.architectures), request.folds, request.preset) == ({"unet", "token_unet"}, 3, "quick")
    assert ui.foldsBox.value == 3
    assert again.widget.trainingPanel.edits["epochs"].text == "8"
    again.close()


def test_failed_start_leaves_no_folder(
    tmp_path: Path,
    module: host.LoadedModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tempfile

    from tokenunet.training.request import TrainingRequest
    from TokenUNetSegmentationLib.process.worker import run_command
    from TokenUNetTrainingLib.logic.run import TrainingRun

    def fail(*arguments: Any, **options: Any) -> Any:
        raise OSError("no interpreter")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError):
        TrainingRun(TrainingRequest(None), fail)
    with pytest.raises(OSError):
        next(run_command([], fail, ""))
    assert list(tmp_path.iterdir()) == []


def test_the_self_test_passes(module: host.LoadedModule) -> None:
    import slicer

    slicer.modules.TokenUNetTrainingInstance.runTest(msec=0)


def test_training_panel_lists_every_registered_architecture(
    app: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A network that one file registers gets a check box, and its name reaches the command."""
    from tokenunet.networks import registry

    (tmp_path / "tiny.py").write_text(
        "from tokenunet.networks import register_architecture\n"
        "register_architecture('tiny_net', 'Tiny-Net', '#123456', 4, description='For a test.')(dict)\n"
    )
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setenv("TOKENUNET_NETWORKS", str(tmp_path))
    loaded = open_module()
    try:
        boxes = loaded.widget.trainingPanel.boxes
        assert list(boxes) == list(registry.architectures())
        assert (boxes["tiny_net"].text, boxes["tiny_net"].toolTip) == ("Tiny-Net", "For a test.")
        boxes["tiny_net"].setChecked(True)
        assert "tiny_net" in loaded.widget.trainingPanel.request().architectures
    finally:
        loaded.close()


def test_label_scheme_reaches_check_and_training(module: host.LoadedModule, tmp_path: Path) -> None:
    from tokenunet.core.label_schemes import LABEL_SCHEMES

    ui = fill_in(module, tmp_path, tmp_path / "experiment")
    schemes = [ui.labelsBox.itemData(index) for index in range(ui.labelsBox.count)]
    assert schemes == ["", *LABEL_SCHEMES]
    request = module.widget.trainingPanel.request()
    assert request.labels is None
    ui.labelsBox.setCurrentIndex(schemes.index("brats2024"))
    assert module.widget.request().labels == "brats2024"
    command = module.widget.request().to_arguments()
    assert command[command.index("--labels") + 1] == "brats2024"
    again = open_module()
    assert again.widget.ui.labelsBox.currentIndex == schemes.index("brats2024")
    again.close()


def test_moved_patients_are_named_when_resuming(module: host.LoadedModule, tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet",), 2, 1)
    requests: list[Any] = []

    def start(request: Any) -> Any:
        requests.append(request)
        raise OSError("not here")

    module.widget.trainingPanel.start_run = start
    module.widget.trainingPanel.installation.missing = []
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    assert "moved" in ui.resumeButton.toolTip
    ui.resumeButton.click()
    ui.dataPath.setCurrentPath(str(tmp_path))
    ui.resumeButton.click()
    assert [request.data for request in requests] == [None, tmp_path]
    assert all(request.resume for request in requests)


def test_cases_of_one_patient_are_listed_before_the_start() -> None:
    from TokenUNetTrainingLib.panels.patient_groups import grouping

    cases = {"Anna": ["Anna_1", "Anna_2"], "Berta": ["Berta"], "Clara": ["C<1>", "C2"], "D": ["a", "b"]}
    assert grouping(cases, None).split("<br>") == [
        "3 patients have several cases, which stay in one fold:",
        "Anna: Anna_1, Anna_2",
        "Clara: C&lt;1&gt;, C2",
        "D: a, b",
    ]
    assert grouping(cases, 1).endswith("Anna: Anna_1, Anna_2<br>and 2 more")
    assert grouping({"Berta": ["Berta"]}, None) == ""
