"""Stand-ins for `slicer.app`, its layout manager and its main window, on the real MRML scene."""

# ruff: noqa: N815  names are those of Slicer and Qt

import atexit
import functools
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from slicer_offscreen import OffscreenHost, SliceView

CONVENTIONAL_LAYOUT = 2  # vtkMRMLLayoutNode.SlicerLayoutConventionalView


def _lay_out(view: SliceView) -> None:
    """Give a new view its size, as the application does in the event loop: that resets the slice offset."""
    view.node.SetSliceOffset(0.0)


class LayoutManager:
    """The real MRML layout logic makes the slice nodes; off-screen views stand where the windows would be."""

    def __init__(self, host: OffscreenHost) -> None:
        self._host = host
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(host.scene)
        self._views: dict[str, SliceView] = {}
        self._laid_out: set[str] = set()
        self.three_d_resets = 0
        host.scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._on_node_added)
        self.setLayout(CONVENTIONAL_LAYOUT)

    def layoutLogic(self) -> Any:
        return self._logic

    @property
    def layout(self) -> int:
        return int(self._logic.GetLayoutNode().GetViewArrangement())

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)
        nodes = self._logic.GetViewNodes()
        in_layout = {nodes.GetItemAsObject(index).GetID() for index in range(nodes.GetNumberOfItems())}
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.SetMappedInLayout(node.GetID() in in_layout)
            if node.GetID() in in_layout and node.GetLayoutName() not in self._laid_out:
                self._laid_out.add(node.GetLayoutName())
                QtCore.QTimer.singleShot(0, functools.partial(_lay_out, self._create_view(node)))

    def _create_view(self, node: slicer.vtkMRMLSliceNode) -> SliceView:
        name = node.GetLayoutName()
        if name not in self._views:
            is_mapped = node.IsMappedInLayout()
            self._views[name] = SliceView(self._host, name, node.GetOrientation(), (300, 300))
            node.SetMappedInLayout(is_mapped)
        return self._views[name]

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, _scene: object, _event: str, node: slicer.vtkMRMLNode) -> None:
        """Create the view of a slice node, as the application does before a layout displays it."""
        if node.IsA("vtkMRMLSliceNode"):
            self._create_view(node)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._views)

    def sliceWidget(self, name: str) -> Any:
        logic = self._views[name].logic
        return SimpleNamespace(
            sliceLogic=lambda: logic,
            mrmlSliceNode=logic.GetSliceNode,
            mrmlSliceCompositeNode=logic.GetSliceCompositeNode,
        )

    def mrmlSliceLogics(self) -> Any:
        return self._host.app_logic.GetSliceLogics()

    def resetThreeDViews(self) -> None:
        self.three_d_resets += 1

    def resetSliceViews(self) -> None:
        for view in self._views.values():
            view.fit()

    def pixels(self, name: str) -> Any:
        """For tests: what the view shows, uint8 (rows, columns, 3)."""
        return self._views[name].grab()

    def forget_views(self) -> None:
        """For tests: views that are not in the conventional layout are made anew when they are shown again."""
        self.setLayout(CONVENTIONAL_LAYOUT)
        for name in set(self._views) - {"Red", "Green", "Yellow"}:
            view = self._views.pop(name)
            view.close()
            slicer.mrmlScene.RemoveNode(view.node)
            self._laid_out.discard(name)

    def close(self) -> None:
        for view in self._views.values():
            view.close()
        self._views.clear()


class Application:
    """What the modules ask of `slicer.app`."""

    applicationName = "Test host"
    applicationVersion = "5.13"
    revision = "0"

    def __init__(self, qt_application: QtWidgets.QApplication, host: OffscreenHost) -> None:
        self._qt = qt_application
        self._host = host
        self._slots: dict[str, list[Callable[[], None]]] = {}
        self._settings_folder = tempfile.TemporaryDirectory(prefix="host-settings-", ignore_cleanup_errors=True)
        self._settings = QtCore.QSettings(
            str(Path(self._settings_folder.name) / "host.ini"), QtCore.QSettings.IniFormat
        )
        atexit.register(self._settings.sync)  # before the folder goes, else Qt would make it again
        self.temporaryPath = tempfile.gettempdir()
        self.os = platform.platform()
        self.layout_manager = LayoutManager(host)

    def topLevelWidgets(self) -> list[QtWidgets.QWidget]:
        """None: as without a main window."""
        return []

    def connect(self, signal: str, slot: Callable[[], None]) -> bool:
        self._slots.setdefault(signal, []).append(slot)
        return True

    def disconnect(self, signal: str, slot: Callable[[], None]) -> bool:
        self._slots[signal].remove(slot)
        return True

    def emit(self, signal: str) -> None:
        """For tests: what the application does at start-up's end and before it quits."""
        for slot in list(self._slots.get(signal, ())):
            slot()

    def testingEnabled(self) -> bool:
        return True

    def translate(self, context: str, text: str) -> str:
        return text

    def moduleManager(self) -> "Application":
        return self

    def processEvents(self, flags: QtCore.QEventLoop.ProcessEventsFlag = QtCore.QEventLoop.AllEvents) -> None:
        self._qt.processEvents(flags)

    def clipboard(self) -> Any:
        return self._qt.clipboard()

    def settings(self) -> QtCore.QSettings:
        return self._settings

    userSettings = settings

    def layoutManager(self) -> LayoutManager:
        return self.layout_manager

    def applicationLogic(self) -> Any:
        return self._host.app_logic

    def coreIOManager(self) -> Any:
        return self._host.io_manager

    def mrmlScene(self) -> Any:
        return self._host.scene

    def setOverrideCursor(self, cursor: Any) -> None:
        self._qt.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        self._qt.restoreOverrideCursor()

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass
