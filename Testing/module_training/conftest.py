"""The Training module opened in the test host, a dataset that is checked in a second, and a trained experiment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host
import pytest
from module.conftest import app, no_messages  # noqa: F401  the same host
from training_fixtures import write_small_patients

MODULE = Path(__file__).resolve().parents[2] / "TokenUNetTraining" / "TokenUNetTraining.py"
TINY = {"epochs": "2", "patch_size": "32", "accumulation": "2", "workers": "0"}


@pytest.fixture
def module(app: Any, no_messages: None, tmp_path: Path) -> Iterator[host.LoadedModule]:  # noqa: F811
    """The module in an empty scene; no experiment was looked at before."""
    import slicer

    slicer.mrmlScene.Clear(False)
    app.layout_manager.setLayout(2)
    app.settings().remove("TokenUNetTraining/experiment")
    loaded = open_module()
    yield loaded
    loaded.close()
    app.processEvents()


def open_module() -> host.LoadedModule:
    """Opens the module, as after a start of the application."""
    loaded = host.load_module(MODULE)
    loaded.python._POLL_MS = 50
    loaded.widget.timer.setInterval(50)
    loaded.panel.resize(380, 1500)
    loaded.panel.show()
    return loaded


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_patients(tmp_path_factory.mktemp("patients"), range(11, 15))


def fill_in(module: host.LoadedModule, data: Path, experiment: Path, **settings: str) -> Any:
    """Fills the panel in for a training of seconds; returns its widgets."""
    ui = module.widget.ui
    ui.dataPath.setCurrentPath(str(data))
    ui.experimentPath.setCurrentPath(str(experiment))
    module.widget.trainingPanel.boxes["token_unet_transformer"].setChecked(False)
    module.widget.trainingPanel.boxes["unet_star"].setChecked(True)
    ui.foldsBox.setValue(2)
    ui.deviceBox.setCurrentIndex(3)
    for name, value in (TINY | settings).items():
        module.widget.trainingPanel.edits[name].setText(value)
    return ui


def cells(table: Any) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]
