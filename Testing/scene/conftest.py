"""A scene for each test, on the real MRML classes; whatever VTK reports as an error or warning fails the test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import vtk
from slicer_offscreen import OffscreenHost, require_rendering
from slicer_offscreen.views import RenderingUnavailableError
from synthetic_output import SyntheticPatient, write_patient
from vtk_messages import vtk_messages_to


@pytest.fixture(autouse=True)
def no_vtk_messages() -> Iterator[None]:
    """Fails a test in which VTK reports an error or a warning."""
    window = vtk.vtkStringOutputWindow()
    with vtk_messages_to(window):
        yield
    assert not window.GetOutput()


@pytest.fixture
def expected_vtk_messages() -> Callable[[], AbstractContextManager[None]]:
    """A context in which VTK may report what it likes."""
    return lambda: vtk_messages_to(vtk.vtkStringOutputWindow())


@pytest.fixture
def host(no_vtk_messages: None) -> Iterator[OffscreenHost]:
    """An empty scene."""
    with OffscreenHost() as host:
        yield host


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> SyntheticPatient:
    """A patient on disk; tests leave its files alone."""
    return write_patient(tmp_path_factory.mktemp("patient"))


@pytest.fixture
def rendering() -> None:
    """Skips the test where nothing can be drawn; ``make test`` installs what drawing needs."""
    try:
        require_rendering()
    except RenderingUnavailableError as error:
        pytest.skip(f"{error} {error.hint}")


@pytest.fixture
def other_patient(tmp_path: Path) -> SyntheticPatient:
    """A second patient, with another tumor on another grid."""
    return write_patient(tmp_path / "other", seed=1)
