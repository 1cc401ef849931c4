"""What would turn the application's log icon red: messages of VTK and Qt, exceptions in slots and observers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import vtk
from vtk_messages import vtk_messages_to

from host.pythonqt import qt_messages

_SUBJECT_HIERARCHY = "vtkMRMLSubjectHierarchyNode"


@contextmanager
def collected_messages() -> Iterator[list[str]]:
    """Collect the messages of the block; the list is filled at its end."""
    messages: list[str] = []
    window = vtk.vtkStringOutputWindow()
    hook = sys.excepthook
    qt_messages.clear()

    def on_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        messages.append(f"{kind.__name__}: {error}")
        hook(kind, error, traceback)

    sys.excepthook = on_exception
    try:
        with vtk_messages_to(window):
            yield messages
    finally:
        sys.excepthook = hook
        messages += [text for text in window.GetOutput().split("\n\n") if text.strip()]
        messages += qt_messages
        qt_messages.clear()


@contextmanager
def loading_a_scene() -> Iterator[None]:
    """Let the subject hierarchy complain, as it does here when a file is read into a scene that was in use."""
    with collected_messages() as messages:
        yield
    assert [message for message in messages if _SUBJECT_HIERARCHY not in message] == []
