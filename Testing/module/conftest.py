"""The module opened in the test host, and a small patient whose result a stand-in worker hands out."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host
import pytest
from host.messages import collected_messages
from module.file_systems import read_only
from processes import stop_fork_server

MODULE = Path(__file__).resolve().parents[2] / "TokenUNetSegmentation" / "TokenUNetSegmentation.py"
STANDIN = Path(__file__).with_name("standin_worker.py")


@pytest.fixture(scope="session")
def app() -> Iterator[Any]:
    """The host's `slicer.app`."""
    application = host.start()
    yield application
    application.layout_manager.close()


@pytest.fixture(scope="module", autouse=True)
def no_other_processes() -> None:
    """End what tests of commands keep running: tests here count the processes they start."""
    stop_fork_server()


@pytest.fixture(autouse=True)
def no_messages(app: Any) -> Iterator[None]:
    """Fail a test in which VTK or Qt report anything, or a slot or an observer raises."""
    with collected_messages() as messages:
        yield
    assert messages == []


@pytest.fixture
def read_only_home(app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder in which nothing can be written, the application's settings included."""
    import qt

    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(home))
    settings = qt.QSettings(str(home / "Slicer.ini"), qt.QSettings.IniFormat)
    monkeypatch.setattr(app, "settings", lambda: settings)
    with read_only(home):
        yield home


@pytest.fixture
def module(app: Any, no_messages: None, tmp_path: Path) -> Iterator[host.LoadedModule]:
    """The module in an empty scene, with a temporary folder of its own."""
    import slicer

    slicer.mrmlScene.Clear(False)
    app.layout_manager.setLayout(2)
    work = tmp_path / "work"
    work.mkdir()
    app.temporaryPath = str(work)
    loaded = host.load_module(MODULE)
    loaded.panel.resize(380, 1500)
    loaded.panel.show()
    yield loaded
    loaded.close()
    app.processEvents()


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Files of a small patient, and the output folder of its segmentation."""
    from scene.synthetic_output import write_patient

    return write_patient(tmp_path_factory.mktemp("patient"))


@pytest.fixture
def volumes(module: host.LoadedModule, patient: Any) -> dict[str, Any]:
    """The patient's four scans in the scene; the selectors have found them."""
    import slicer
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    nodes = {sequence: load_volume(path, f"Anna_{sequence}") for sequence, path in patient.inputs.items()}
    slicer.util.setSliceViewerLayers(background=nodes["T1ce"])
    slicer.app.layoutManager().resetSliceViews()
    slicer.app.processEvents()
    return nodes


@pytest.fixture
def standin(module: host.LoadedModule, patient: Any, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Runs use the stand-in worker; the returned monkeypatch sets its environment."""
    from TokenUNetSegmentationLib.logic.model_list import ListedModel
    from TokenUNetSegmentationLib.logic.run import SegmentationRun
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    monkeypatch.setenv("STANDIN_RESULT", str(patient.output))
    module.widget.runPanel._models = {"standin": ListedModel("stand-in")}
    module.widget.ui.modelBox.clear()
    module.widget.ui.modelBox.addItem("stand-in", "standin")
    module.widget.runPanel.installation.missing = []
    start_worker = functools.partial(WorkerProcess, script=STANDIN)
    module.widget.runPanel.start_run = functools.partial(SegmentationRun, start_worker=start_worker)
    module.widget.onParametersChanged()
    return monkeypatch
