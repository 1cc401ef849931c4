"""Driving the panel as a user does, and looking at what is there."""

import time
from collections.abc import Callable
from typing import Any

import host


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
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
