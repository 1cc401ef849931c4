"""A home folder that cannot be written, as on some shared computers: the module works, or says why it does not."""

from pathlib import Path
from typing import Any

import host
import pytest
from host.messages import collected_messages
from module.driving import node_ids, segment


def test_nothing_can_be_written_there(read_only_home: Path, app: Any) -> None:
    with pytest.raises(OSError):
        (read_only_home / "file").touch()
    app.settings().setValue("key", 1)
    app.settings().sync()
    assert app.settings().status() != app.settings().Status.NoError


def test_module_opens_and_segments(
    read_only_home: Path, module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    result = segment(module)
    assert module.widget.ui.messageLabel.text.startswith("Done.")
    assert result.reference is volumes["T1ce"]
    assert "GB of memory" in module.widget.ui.estimateLabel.text, "the estimate does without what it could not remember"
    assert list(Path(app.temporaryPath).iterdir()) == []


def test_temporary_folder_there_is_said_in_a_sentence_and_all_stays(
    read_only_home: Path, module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    earlier = segment(module)
    nodes, voxels = node_ids(), earlier.region("WT")
    app.temporaryPath = str(read_only_home)
    segment(module)
    message = module.widget.ui.messageLabel.text
    assert f"{read_only_home} cannot be written" in message
    assert "choose another temporary folder" in message
    assert node_ids() == nodes
    assert module.widget.result() == earlier
    assert (earlier.region("WT") == voxels).all()


@pytest.mark.parametrize("button", ["exportSegButton", "exportNiftiButton"])
def test_saving_there_is_said_in_a_sentence_and_all_stays(
    read_only_home: Path,
    module: host.LoadedModule,
    volumes: dict[str, Any],
    standin: pytest.MonkeyPatch,
    monkeypatch: pytest.MonkeyPatch,
    button: str,
) -> None:
    import qt

    earlier = segment(module)
    nodes = node_ids()
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(read_only_home / "result")))
    with collected_messages() as messages:
        getattr(module.widget.ui, button).click()
    assert all(str(read_only_home) in message for message in messages), "only MRML's own report of the failed write"
    assert "cannot be written" in module.widget.ui.resultLabel.text
    assert node_ids() == nodes
    assert module.widget.result() == earlier
