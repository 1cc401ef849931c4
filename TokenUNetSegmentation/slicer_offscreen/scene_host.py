"""MRML scene with the logics that Slicer's application sets up."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import slicer
import vtk
from tokenunet.core.errors import InputError, OutputError

from slicer_offscreen.core_io import CoreIOManager

_MODULE_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
_IN_SUBJECT_HIERARCHY = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode")
_NOT_IN_SUBJECT_HIERARCHY = ("vtkMRMLCameraNode",)


class OffscreenHost:
    """Scene that `slicer.mrmlScene`, `slicer.modules` and `slicer.util` use, as in the application.

    They use the most recent host; once it is closed, they use the one before it again. Use it as a context manager, or
    call `close`; hosts that overlap are closed in reverse order.

    Attributes:
        scene: MRML scene.
        io_manager: I/O manager for `slicer.util.load...` and `save...`, as `slicer.app.coreIOManager()`.
        app_logic: Application logic, with which views and module logics are registered.
    """

    _current: "OffscreenHost | None" = None

    def __init__(self) -> None:
        self._before = OffscreenHost._current
        self.scene = slicer.vtkMRMLScene()
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        self.app_logic = slicer.vtkSlicerApplicationLogic()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.app_logic.SetMRMLScene(self.scene)
        self.app_logic.SetSliceLogics(vtk.vtkCollection())
        self.app_logic.SetViewLogics(vtk.vtkCollection())
        colors = self.app_logic.GetColorLogic()
        colors.SetMRMLScene(self.scene)
        colors.AddDefaultColorNodes()
        self._set_up_input_output()
        logics = {name: self._create_logic(name, class_name) for name, class_name in _MODULE_LOGICS.items()}
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self._modules = SimpleNamespace(
            **{
                name.lower(): SimpleNamespace(name=name, logic=lambda logic=logic: logic)
                for name, logic in logics.items()
            }
        )
        self._become_current()
        self._keep_subject_hierarchy()
        self.io_manager = CoreIOManager(self.scene)

    def _become_current(self) -> None:
        OffscreenHost._current = self
        slicer.mrmlScene = self.scene
        slicer.modules = self._modules
        for factory in (
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
            slicer.vtkMRMLSliceViewDisplayableManagerFactory,
        ):
            factory.GetInstance().SetMRMLApplicationLogic(self.app_logic)

    def _create_logic(self, name: str, class_name: str) -> slicer.vtkMRMLAbstractLogic:
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(self.app_logic)
        logic.SetMRMLScene(self.scene)
        self.app_logic.SetModuleLogic(name, logic)
        return logic

    def _set_up_input_output(self) -> None:
        """Set up the data manager, in whose cache folder scene bundles (.mrb) are packed and unpacked."""
        self._cache = tempfile.TemporaryDirectory(prefix="tokenunet-scene-")
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        self._data_manager = slicer.vtkDataIOManagerLogic()
        self._data_manager.SetMRMLScene(self.scene)
        self._data_manager.SetMRMLApplicationLogic(self.app_logic)
        self._data_manager.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()

    def _keep_subject_hierarchy(self) -> None:
        """Add an item of the subject hierarchy for each node by observers, as Qt plug-ins do in the application."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_added(_caller: object, _event: str, node: slicer.vtkMRMLNode) -> None:
            if not self.scene.IsImporting():
                self._add_to_subject_hierarchy(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_removed(_caller: object, _event: str, node: slicer.vtkMRMLNode) -> None:
            if self.scene.IsClosing():
                return
            item = self._subject_hierarchy.GetItemByDataNode(node)
            if item:
                self._subject_hierarchy.RemoveItem(item, False, False)

        def on_imported(_caller: object, _event: str) -> None:
            for node in slicer.util.getNodesByClass("vtkMRMLNode"):
                self._add_to_subject_hierarchy(node)

        self._observers = [
            self.scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, on_added),
            self.scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, on_removed),
            self.scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, on_imported),
        ]

    @property
    def _subject_hierarchy(self) -> slicer.vtkMRMLSubjectHierarchyNode:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)

    def _add_to_subject_hierarchy(self, node: slicer.vtkMRMLNode) -> None:
        belongs = any(map(node.IsA, _IN_SUBJECT_HIERARCHY)) and not any(map(node.IsA, _NOT_IN_SUBJECT_HIERARCHY))
        if belongs and not node.GetHideFromEditors() and not self._subject_hierarchy.GetItemByDataNode(node):
            self._subject_hierarchy.CreateItem(self._subject_hierarchy.GetSceneItemID(), node)

    def save(self, path: Path) -> None:
        """Write the scene as an .mrb bundle.

        Raises:
            OutputError: If it cannot be written.
        """
        if not self.scene.WriteToMRB(os.fspath(path)):
            raise OutputError(f"The scene cannot be written to {path}.", "Make room on the disk.")

    def load(self, path: Path) -> None:
        """Replace the scene by that of an .mrb bundle.

        Raises:
            InputError: If it cannot be read.
        """
        if not self.scene.ReadFromMRB(os.fspath(path), True):
            raise InputError(f"{path} cannot be read as a scene.", "Check that the file exists and is complete.")

    def close(self) -> None:
        """Clear the scene and remove its temporary folder; views must be closed before."""
        # VTK crashes if the garbage collector removes these references later
        for observer in self._observers:
            self.scene.RemoveObserver(observer)
        self.scene.Clear(True)
        self.app_logic.SetMRMLScene(None)
        self._cache.cleanup()
        OffscreenHost._current = self._before
        if self._before:
            self._before._become_current()

    def __enter__(self) -> "OffscreenHost":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
