"""Self-tests of the Token-UNet Segmentation module, which run in the application, with and without main window.

Each is a function that receives the running test case; its docstring is displayed. The tests in the source tree press
every button on a stand-in of the application. These here cover what the stand-in once got wrong.
"""

import importlib.util
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer.util

from TokenUNetSegmentationLib.process.worker import WorkerProcess
from TokenUNetSegmentationLib.scene.corrections import Corrections
from TokenUNetSegmentationLib.scene.editing import SEGMENT_EDITOR, Edit
from TokenUNetSegmentationLib.scene.load_result import build_result
from TokenUNetSegmentationLib.scene.overlay_views import view_name
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.self_tests.patient import add_volumes, write_result

_WORKER_SECONDS = 120
_GRID_SECONDS = 60


def open_module() -> Any:
    """Return the module's widget object, entered as by a user."""
    widget = slicer.modules.tokenunetsegmentation.widgetRepresentation().self()
    widget.enter()
    return widget


def add_result(widget: Any) -> PatientResult:
    """Put a patient with a result into the scene and display it."""
    volumes = add_volumes("Patient1")
    with tempfile.TemporaryDirectory() as folder:
        write_result(Path(folder))
        result = build_result(volumes, "T1ce", Path(folder))
    for _step in widget.onResult(result):
        slicer.app.processEvents()
    return result


def test_inputs_are_found(case: unittest.TestCase) -> None:
    """Check that volumes are selected by their names."""
    volumes = add_volumes("Patient1")
    widget = open_module()
    case.assertEqual(widget.inputsPanel.inputs(), volumes)
    case.assertEqual(widget.inputsPanel.problems(), {})
    case.assertIn("skull-stripped", widget.inputsPanel.rows["T1ce"].mark.toolTip)


def test_volume_in_two_places_is_refused(case: unittest.TestCase) -> None:
    """Check that the same volume cannot be selected for two sequences."""
    volumes = add_volumes("Patient1")
    widget = open_module()
    widget.inputsPanel.rows["T2"].selector.setCurrentNode(volumes["T1"])
    case.assertFalse(widget.ui.segmentButton.enabled)
    case.assertIn("selected as", widget.ui.segmentButton.toolTip)
    widget.ui.findButton.click()
    case.assertEqual(widget.inputsPanel.problems(), {})


def test_result_and_maps(case: unittest.TestCase) -> None:
    """Check that a result and each of its attention maps can be displayed."""
    widget = open_module()
    result = add_result(widget)
    case.assertEqual(widget.ui.volumesTable.rowCount, 5)
    case.assertEqual(widget.ui.segmentsTable.segmentationNode(), result.segmentation)
    widget.overlaysPanel.button(3).click()
    case.assertTrue(widget.overlaysPanel.button(3).checked)
    layers = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    third = result.overlays("token_learner")[3]
    case.assertTrue(all(layer.GetForegroundVolumeID() == third.GetID() for layer in layers))


def test_grid_displays_the_tumor(case: unittest.TestCase) -> None:
    """Check that the grid of maps starts at the tumor, and that closing the scene leaves the grid."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    widget = open_module()
    result = add_result(widget)
    before = manager.layout
    widget.ui.gridButton.click()
    end = time.monotonic() + _GRID_SECONDS
    while manager.layout == before and time.monotonic() < end:  # its views are created one by one
        slicer.app.processEvents()
    for _ in range(10):
        slicer.app.processEvents()
    maps = result.overlays("token_learner")
    for number, node in maps.items():
        view = manager.sliceWidget(view_name(number))
        case.assertEqual(view.mrmlSliceCompositeNode().GetForegroundVolumeID(), node.GetID())
        case.assertNotEqual(view.mrmlSliceNode().GetSliceOffset(), 0)
    slicer.mrmlScene.Clear()
    case.assertEqual(manager.layout, before)
    case.assertFalse(widget.ui.gridButton.checked)


def test_edit_keeps_regions_nested(case: unittest.TestCase) -> None:
    """Check that an edit removes nothing from other regions, keeps them nested and restores the overwrite mode."""
    result = add_result(open_module())
    editor = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetOverwriteMode(editor.OverwriteAllSegments)
    corrections = Corrections()
    list(corrections.notice_steps(result))
    edit = Edit(SEGMENT_EDITOR, editor)
    case.assertEqual(editor.GetOverwriteMode(), editor.OverwriteNone)
    enhancing = result.region("ET").astype(np.uint8)
    enhancing[0, :2, :2] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(enhancing, result.segmentation, "ET", result.reference)
    edit.close()
    list(corrections.notice_steps(result))
    case.assertEqual(editor.GetOverwriteMode(), editor.OverwriteAllSegments)
    whole, core, inner = result.regions()
    case.assertTrue(inner[0, :2, :2].all() and core[inner].all() and whole[core].all())
    case.assertEqual(len(result.report["edits"]), 1)


def test_saved_scene_is_selected_again(case: unittest.TestCase) -> None:
    """Check that a scene loaded while the module is open displays its result, also if merged into another scene."""
    widget = open_module()
    add_result(widget)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "scene.mrb")
        case.assertTrue(slicer.util.saveScene(path))
        for properties in ({"clear": True}, {"clear": False}):
            slicer.util.loadScene(path, properties)
            slicer.app.processEvents()
            case.assertIsNotNone(widget.result())
            case.assertIsNotNone(widget.result().reference)
            case.assertEqual(widget.ui.segmentationSelector.currentNode(), widget.result().segmentation)


def test_worker_starts_cold(case: unittest.TestCase) -> None:
    """Check that a worker process starts without a warm worker."""
    if importlib.util.find_spec("psutil") is None:  # installed at the first click on "Segment"
        return
    with tempfile.TemporaryDirectory() as folder:
        worker = WorkerProcess(["models", "list"], Path(folder))
        end = time.monotonic() + _WORKER_SECONDS
        while worker.exit_code is None and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.01)
        exit_code, log = worker.exit_code, worker.log()
        worker.close()
    case.assertEqual(exit_code, 0, log)


SELF_TESTS: tuple[Callable[[unittest.TestCase], None], ...] = (
    test_inputs_are_found,
    test_volume_in_two_places_is_refused,
    test_result_and_maps,
    test_grid_displays_the_tumor,
    test_edit_keeps_regions_nested,
    test_saved_scene_is_selected_again,
    test_worker_starts_cold,
)
"""Self-tests in the order in which they run, each in an empty scene."""
