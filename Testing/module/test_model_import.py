"""The button that imports a model: a real import in a process, its cancellation, and what a failure says."""

import functools
from pathlib import Path
from typing import Any

import host
import pytest
from foreign_models import write_monai_bundle
from module.driving import segment, wait_until


@pytest.fixture
def models(module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's models."""
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def choose(monkeypatch: pytest.MonkeyPatch, dialog: str, path: Path) -> None:
    import qt

    monkeypatch.setattr(qt.QFileDialog, dialog, staticmethod(lambda *question: str(path)))


def test_imported_model_is_selected_and_segments(
    models: Path, module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Any
) -> None:
    """From the click on the menu to the result in the scene; options that it does not have are disabled."""
    from tokenunet.synthesis import synthetic_patient, write_patient
    from TokenUNetSegmentationLib.scene.export import command_line
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    ui, panel = module.widget.ui, module.widget.modelImportPanel
    choose(monkeypatch, "getExistingDirectory", write_monai_bundle(tmp_path / "foreign"))
    module.widget.runPanel.installation.missing = []
    panel.folder_action.trigger()
    assert panel.running
    assert ui.importProgressBar.visible
    assert not ui.importButton.enabled
    wait_until(lambda: not panel.running)
    assert ui.importLabel.text == "Imported: BraTS_MRI_segmentation."
    assert ui.modelBox.currentText == "BraTS MRI segmentation"
    assert (models / "BraTS_MRI_segmentation" / "card.md").is_file()
    assert tuple(module.widget.inputsPanel.rows) == ("T1ce", "T1", "T2", "FLAIR")
    assert not ui.attentionMapsBox.enabled
    assert not ui.modeBox.enabled
    patient = write_patient(synthetic_patient(1, spacing=4.0), tmp_path)
    for path in sorted(patient.glob("*.nii.gz")):
        if "seg" not in path.name:
            load_volume(path, path.name)
    app.processEvents()
    result = segment(module)
    assert ui.messageLabel.text.startswith("Done."), module.widget.runPanel._run.log
    assert result.report["model"]["name"] == "BraTS MRI segmentation"
    assert "attention" not in command_line(result)


def test_import_that_fails_says_why_and_keeps_the_selection(
    models: Path, module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, panel = module.widget.ui, module.widget.modelImportPanel
    before = ui.modelBox.currentText
    (tmp_path / "nothing.zip").write_bytes(b"no archive")
    choose(monkeypatch, "getOpenFileName", tmp_path / "nothing.zip")
    module.widget.runPanel.installation.missing = []
    panel.archive_action.trigger()
    wait_until(lambda: not panel.running)
    assert "nothing.zip" in ui.importLabel.text
    assert ui.importLabel.text.startswith("<b>⚠</b>")
    assert ui.modelBox.currentText == before
    assert not models.exists()


def test_model_of_nnunet_is_imported_after_its_networks_are_installed(
    models: Path, module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without consent, nothing is installed or imported."""
    from TokenUNetSegmentationLib.process import dependencies

    asked: list[str] = []
    monkeypatch.setattr(module.widget.runPanel.installation, "missing", [])
    monkeypatch.setattr(dependencies, "missing_requirements", list)
    monkeypatch.setattr(dependencies, "user_agrees", lambda missing: asked.extend(r.name for r in missing))
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "plans.json").write_text("{}")
    module.widget.modelImportPanel.start(tmp_path / "trained")
    assert asked == ["dynamic-network-architectures"]
    assert not module.widget.modelImportPanel.running
    assert not models.exists()


def test_cancelled_import_leaves_nothing(models: Path, module: host.LoadedModule, tmp_path: Path) -> None:
    """The process is killed while the files of the model move to their place."""
    from TokenUNetSegmentationLib.logic.model_import import ModelImport
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    script = tmp_path / "standin.py"
    script.write_text(
        "import os, time\n"
        f"unfinished = {str(models)!r} + f'/tiny/.unfinished-{{os.getpid()}}-x'\n"
        "os.makedirs(unfinished)\n"
        "open(os.path.dirname(unfinished) + '/weights.safetensors', 'w').close()\n"
        'print(\'{"event": "progress", "stage": "import", "fraction": 0.5, "eta_s": null}\', flush=True)\n'
        "time.sleep(60)\n"
    )
    ui, panel = module.widget.ui, module.widget.modelImportPanel
    start_worker = functools.partial(WorkerProcess, script=script)
    panel.start_import = functools.partial(ModelImport, start_worker=start_worker)
    module.widget.runPanel.installation.missing = []
    panel.start(tmp_path / "model")
    wait_until(lambda: ui.importProgressBar.value == 50)
    assert (models / "tiny").is_dir()
    ui.importCancelButton.click()
    assert ui.importLabel.text == "The import was cancelled."
    assert not panel.running
    assert not (models / "tiny").exists()
