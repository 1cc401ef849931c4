"""Self-tests of the Token-UNet Training module, which run in the application, with and without main window.

Each is a function that receives the running test case; its docstring is displayed.
"""

import importlib.util
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from tokenunet.training.request import TrainingRequest

from TokenUNetTrainingLib.logic.run import TrainingRun

_PROCESS_SECONDS = 120


def open_module() -> Any:
    """Return the module's widget object, entered as by a user."""
    widget = slicer.modules.tokenunettraining.widgetRepresentation().self()
    widget.enter()
    return widget


def test_reasons_why_nothing_can_start(case: unittest.TestCase) -> None:
    """Check that disabled buttons say why."""
    widget = open_module()
    with tempfile.TemporaryDirectory() as folder:
        widget.ui.dataPath.setCurrentPath("")
        case.assertFalse(widget.ui.startButton.enabled)
        case.assertIn("patients", widget.ui.startButton.toolTip)
        widget.ui.dataPath.setCurrentPath(folder)
        widget.ui.experimentPath.setCurrentPath(str(Path(folder) / "experiment"))
        case.assertTrue(widget.ui.startButton.enabled)
        case.assertFalse(widget.ui.resumeButton.enabled)
        case.assertIn("no experiment", widget.ui.resumeButton.toolTip)
        case.assertFalse(widget.ui.stopNowButton.enabled)
        widget.ui.experimentPath.setCurrentPath("")


def test_form_survives_a_saved_scene(case: unittest.TestCase) -> None:
    """Check that a scene loaded while the module is open fills in the form."""
    widget = open_module()
    with tempfile.TemporaryDirectory() as folder:
        widget.ui.experimentPath.setCurrentPath(str(Path(folder) / "experiment"))
        widget.trainingPanel.edits["epochs"].setText("7")
        path = str(Path(folder) / "scene.mrb")
        case.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear()
        widget.enter()
        widget.trainingPanel.edits["epochs"].setText("")
        slicer.util.loadScene(path)
        slicer.app.processEvents()
        case.assertEqual(widget.trainingPanel.edits["epochs"].text, "7")
        case.assertEqual(widget.trainingPanel.request().settings, {"epochs": "7"})
        widget.trainingPanel.edits["epochs"].setText("")
        widget.ui.experimentPath.setCurrentPath("")


def test_process_starts_and_reports(case: unittest.TestCase) -> None:
    """Check that a training process starts and reports its error."""
    if importlib.util.find_spec("psutil") is None:  # installed at the first click on "Start training"
        return
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(TrainingRequest(Path(folder) / "experiment", Path(folder) / "absent"))
        end = time.monotonic() + _PROCESS_SECONDS
        while run.running and time.monotonic() < end:
            run.update()
            slicer.app.processEvents()
            time.sleep(0.01)
    failure = run.failure
    case.assertIsNotNone(failure)
    case.assertIn("absent", failure.message)  # type: ignore[union-attr]


SELF_TESTS: tuple[Callable[[unittest.TestCase], None], ...] = (
    test_reasons_why_nothing_can_start,
    test_form_survives_a_saved_scene,
    test_process_starts_and_reports,
)
"""Self-tests in the order in which they run, each in an empty scene."""
