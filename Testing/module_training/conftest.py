"""The Training module opened in the test host, a dataset that is checked in a second, and a trained experiment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host
import pytest
from module.conftest import app  # noqa: F401  the same host
from training_fixtures import write_small_patients

MODULE = Path(__file__).resolve().parents[2] / "TokenUNetTraining" / "TokenUNetTraining.py"


@pytest.fixture
def module(app: Any, tmp_path: Path) -> Iterator[host.LoadedModule]:  # noqa: F811
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
    return write_small_patients(tmp_path_factory.mktemp("patients"), range(31, 35))
