"""What VTK says during a test."""

from collections.abc import Iterator
from contextlib import contextmanager

import vtk


@contextmanager
def vtk_messages_to(window: vtk.vtkOutputWindow) -> Iterator[None]:
    """Let another output window receive VTK's errors and warnings."""
    before = vtk.vtkOutputWindow.GetInstance()
    vtk.vtkOutputWindow.SetInstance(window)
    try:
        yield
    finally:
        vtk.vtkOutputWindow.SetInstance(before)
