"""Driving the panel as a user does, and looking at what is there."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import host
import numpy as np
from numpy.typing import NDArray
from tokenunet.cli import main
from tokenunet.core.events import ErrorEvent, Event, ProgressEvent


class CommandHere:
    """Stands in for the worker process: runs the command in this process."""

    def __init__(self, arguments: Sequence[str], _folder: Path) -> None:
        self._arguments = list(arguments)
        self.exit_code: int | None = None

    def events_until_end(self) -> Iterator[list[Event]]:
        from TokenUNetSegmentationLib.process.worker import parse_event

        yield [ProgressEvent("write", 0.5, None)]
        printed = StringIO()
        with redirect_stdout(printed):
            self.exit_code = main(self._arguments)
        yield [event for event in map(parse_event, printed.getvalue().splitlines()) if isinstance(event, ErrorEvent)]

    def log(self) -> str:
        return ""

    def close(self) -> None:
        pass


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Lets the window live until something is so."""
    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        slicer.app.processEvents()
        time.sleep(0.002)


def segment(module: host.LoadedModule) -> Any:
    """Presses Segment and waits for the end; returns the result."""
    module.widget.ui.segmentButton.click()
    wait_until(lambda: not module.widget.runPanel.running)
    return module.widget.result()


def node_ids() -> set[str]:
    """All nodes of the scene."""
    import slicer

    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}


def foreground(view: str) -> Any:
    """The volume over the background of a slice view, or None."""
    import slicer

    return slicer.app.layoutManager().sliceWidget(view).sliceLogic().GetForegroundLayer().GetVolumeNode()


def changed(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Share of pixels that differ visibly."""
    return float((np.abs(one.astype(int) - other.astype(int)).max(axis=2) > 8).mean())


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference of pixel values."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def press(module: host.LoadedModule, key: str) -> None:
    """Presses a key while the panel has the focus."""
    import qt
    from PySide6.QtTest import QTest

    module.panel.activateWindow()
    QTest.keyClick(module.panel, getattr(qt.Qt, f"Key_{key}"))
