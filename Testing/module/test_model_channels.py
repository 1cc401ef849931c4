"""Selectors that are made from the chosen model's channels, and scans that are missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import host
import pytest
from model_fixtures import SMALL_MANIFEST, small_bundle
from module.driving import segment
from tokenunet.bundle.manifest import Channel
from tokenunet.core.channels import FOUR_SEQUENCES, OptionalChannels
from tokenunet.core.sequences import ALIASES


def choose_model(module: host.LoadedModule, name: str) -> None:
    box = module.widget.ui.modelBox
    module.widget.runPanel.find_models()
    box.setCurrentIndex(next(i for i in range(box.count) if box.itemData(i) == name))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, in which each bundle is one folder more."""
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    for name, channels in (("two", ("FLAIR", "ADC")), ("five", ("T1", "T1ce", "ADC", "T2", "FLAIR"))):
        manifest = replace(
            SMALL_MANIFEST,
            name=name,
            spacing=(4.0, 4.0, 4.0),
            channels=tuple(Channel(c, ALIASES.get(c, ("dwi",))) for c in channels),
        )
        small_bundle(tmp_path / "models" / name, manifest)
    return tmp_path / "models"


def test_two_channel_bundle_gets_two_selectors_and_a_result_in_the_scene(
    models: Path, module: host.LoadedModule, tmp_path: Path, app: Any
) -> None:
    """From one folder more to selectors, report and scene; four selectors again for the model of four."""
    from tokenunet.synthesis import synthetic_patient, write_patient
    from TokenUNetSegmentationLib.scene.export import command_line
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    panel = module.widget.inputsPanel
    assert tuple(panel.rows) == FOUR_SEQUENCES.names
    choose_model(module, "two")
    assert tuple(panel.rows) == ("FLAIR", "ADC")
    assert not module.widget.ui.segmentButton.enabled
    patient = write_patient(synthetic_patient(1, spacing=4.0), tmp_path)
    flair = load_volume(patient / f"{patient.name}_flair.nii.gz", "p_flair")
    adc = load_volume(patient / f"{patient.name}_t2.nii.gz", "p_dwi")
    app.processEvents()
    assert panel.inputs() == {"FLAIR": flair, "ADC": adc}
    assert panel.reference() == "FLAIR"
    module.widget.ui.referenceBox.setCurrentIndex(1)
    result = segment(module)
    assert module.widget.ui.messageLabel.text.startswith("Done."), module.widget.runPanel._run.log
    assert result.inputs == {"FLAIR": flair, "ADC": adc}
    assert result.reference is adc
    assert set(result.report["inputs"]) == {"FLAIR", "ADC"}
    assert "--scan ADC=" in command_line(result)
    choose_model(module, "five")
    assert tuple(panel.rows) == ("T1", "T1ce", "ADC", "T2", "FLAIR")
    assert panel.inputs() == {"T1": None, "T1ce": None, "ADC": adc, "T2": None, "FLAIR": flair}
    assert panel.rows["ADC"].selector.currentNode() is adc
    module.panel.grab().save(str(tmp_path / "five.png"))


def test_missing_scan_is_allowed_with_its_cost_if_the_model_can_do_without(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    panel, button = module.widget.inputsPanel, module.widget.ui.segmentButton
    optional = (OptionalChannels(("FLAIR",), {"WT": -0.07}), OptionalChannels(("T1", "T1ce")))
    panel.set_channels(replace(FOUR_SEQUENCES, optional=optional))
    panel.rows["FLAIR"].selector.setCurrentNode(None)
    assert panel.rows["FLAIR"].status.text == "Without FLAIR: whole tumor Dice about 0.07 lower"
    assert button.enabled
    segment(module)
    run = module.widget.runPanel._run.request.on_files(Path())
    assert run.left_out == ("FLAIR",)
    panel.rows["FLAIR"].selector.setCurrentNode(volumes["FLAIR"])
    panel.rows["T1"].selector.setCurrentNode(None)
    assert not button.enabled
    assert button.toolTip == "Select the T1 volume."
    panel.rows["T1ce"].selector.setCurrentNode(None)
    assert button.enabled
    assert panel.reference() == "FLAIR"
    assert "enhancing tumor is not marked" in panel.rows["T1"].status.text
    assert panel.rows["T1ce"].status.text == ""
    result = segment(module)
    assert set(result.inputs) == {"T2", "FLAIR"}
    assert module.widget.runPanel._run.request.on_files(Path()).left_out == ("T1", "T1ce")
