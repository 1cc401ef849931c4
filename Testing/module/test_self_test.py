"""The module's own self-test, which the application runs too, and its place in the application."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import host
import pytest


def test_self_test_passes(module: host.LoadedModule) -> None:
    import slicer

    slicer.modules.TokenUNetSegmentationInstance.runTest(msec=0)


@pytest.mark.slow
def test_sample_is_registered_when_slicer_has_started_and_can_be_made(
    module: host.LoadedModule, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[dict[str, Any]] = []
    sample_data = ModuleType("SampleData")
    sample_data.SampleDataLogic = SimpleNamespace(  # type: ignore[attr-defined]
        registerCustomSampleDataSource=lambda **source: registered.append(source)
    )
    monkeypatch.setitem(sys.modules, "SampleData", sample_data)
    app.emit("startupCompleted()")
    assert registered[-1]["sampleName"] == "Token-UNet synthetic glioma"
    lengths = {len(registered[-1][field]) for field in ("uris", "fileNames")}
    assert lengths == {0}, "Slicer compares the lengths of these lists"
    volumes = registered[-1]["customDownloader"](None)
    assert [volume.GetName().rpartition("_")[2] for volume in volumes] == ["T1", "T1ce", "T2", "FLAIR"]
    assert module.widget.inputsPanel.problems() == {}
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_help_shows_the_picture(module: host.LoadedModule) -> None:
    import slicer

    parent = slicer.modules.tokenunetsegmentation
    assert "Icons/TokenUNetSegmentation.png" in parent.helpText
    assert "not a medical device" in parent.helpText
    assert parent.categories == ["Segmentation"]


def test_readme_names_the_command_of_the_self_tests() -> None:
    root = Path(__file__).resolve().parents[2]
    assert "`make self-tests SLICER=/path/to/Slicer`" in (root / "README.md").read_text(encoding="utf-8")
    recipe = (root / "Makefile").read_text(encoding="utf-8").partition("\nself-tests:")[2].partition("\n\n")[0]
    for module in ("TokenUNetSegmentation", "TokenUNetTraining"):
        assert module in recipe
    assert "$(SLICER) --testing" in recipe
