"""Stand-ins for the qMRML widgets that the modules use, on real MRML nodes."""

# ruff: noqa: N801, N815  names are those of Slicer and Qt

import functools
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Qt, Signal

_SCENE_EVENTS = (
    slicer.vtkMRMLScene.NodeAddedEvent,
    slicer.vtkMRMLScene.NodeRemovedEvent,
    slicer.vtkMRMLScene.EndCloseEvent,
    slicer.vtkMRMLScene.EndImportEvent,
)


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows the scene and passes it on, as the .ui file's connections do in the application."""

    mrmlSceneChanged = Signal(object)
    isEntered = True

    def setMRMLScene(self, scene: Any) -> None:
        for widget in self.findChildren(QtWidgets.QWidget):
            if hasattr(widget, "setMRMLScene") and not isinstance(widget, qMRMLWidget):
                widget.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)


def _stop_observing(scene: Any, observers: list[int], *_: Any) -> None:
    for tag in observers:
        scene.RemoveObserver(tag)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Selector of a node of the given classes; empty at first where "None" may be chosen."""

    currentNodeChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QtWidgets.QComboBox()
        self._box.setMinimumContentsLength(6)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._scene: Any = None
        self._observers: list[int] = []
        self._nodes: list[Any] = []
        self._announced: Any = None
        self._attributes: dict[str, Any] = {}
        self._settings: dict[str, Any] = {"nodeTypes": [], "noneEnabled": False, "showChildNodeTypes": True}
        self._box.currentIndexChanged.connect(self._announce)

    def connect(self, signal: str, slot: Callable[[Any], None]) -> bool:
        """As PythonQt connects one of a signal's overloads."""
        assert signal == "currentNodeChanged(vtkMRMLNode*)", signal
        self.currentNodeChanged.connect(slot)
        return True

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._observers = [scene.AddObserver(event, self._refresh) for event in _SCENE_EVENTS] if scene else []
        if scene:  # a deleted widget observes nothing
            self.destroyed.connect(functools.partial(_stop_observing, scene, self._observers))
        self._refresh()

    def _belongs(self, node: Any) -> bool:
        of_class = self._settings["showChildNodeTypes"] or node.GetClassName() in self._settings["nodeTypes"]
        with_attributes = all(node.GetAttribute(name) == value for name, value in self._attributes.items())
        return of_class and with_attributes and not node.GetHideFromEditors()

    def addAttribute(self, node_type: str, name: str, value: Any) -> None:
        self._attributes[name] = value
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        if self._scene is None:
            return
        current = self.currentNode()
        nodes = [
            node
            for class_name in self._settings["nodeTypes"]
            for node in slicer.util.getNodesByClass(class_name, self._scene)
            if self._belongs(node)
        ]
        self._nodes = ([None] if self._settings["noneEnabled"] else []) + nodes
        self._box.blockSignals(True)
        self._box.clear()
        self._box.addItems([self._name(node) for node in self._nodes])
        self._box.blockSignals(False)
        self.setCurrentNode(current if current in self._nodes else next(iter(self._nodes), None))
        self._announce()

    def _name(self, node: Any) -> str:
        if node is None:
            return self._settings.get("noneDisplay") or "None"
        return str(node.GetName())

    def _announce(self, *_: Any) -> None:
        node = self.currentNode()
        if node is not self._announced:
            self._announced = node
            self.currentNodeChanged.emit(node)

    def currentNode(self) -> Any:
        index = self._box.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNode(self, node: Any) -> None:
        self._box.setCurrentIndex(self._nodes.index(node) if node in self._nodes else -1)

    @staticmethod
    def _setting(qt_type: str, name: str) -> Property:
        def read(self: "qMRMLNodeComboBox") -> Any:
            return self._settings.get(name, False)

        def write(self: "qMRMLNodeComboBox", value: Any) -> None:
            self._settings[name] = value
            self._refresh()

        return Property(qt_type, read, write)

    nodeTypes = _setting("QStringList", "nodeTypes")
    noneEnabled = _setting("bool", "noneEnabled")
    noneDisplay = _setting("QString", "noneDisplay")
    showChildNodeTypes = _setting("bool", "showChildNodeTypes")
    addEnabled = _setting("bool", "addEnabled")
    removeEnabled = _setting("bool", "removeEnabled")


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Selector of a color node."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.nodeTypes = ["vtkMRMLColorNode"]

    def _belongs(self, node: Any) -> bool:
        return node.GetAttribute("Category") is not None or not node.GetHideFromEditors()


class qMRMLSegmentsTableView(QtWidgets.QWidget):
    """Table of a segmentation's segments: visible, color, opacity, name."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = QtWidgets.QTableWidget(0, 3)
        self._table.setHorizontalHeaderLabels(["Show", "Opacity", "Name"])
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.setColumnWidth(0, 56)
        self._table.itemChanged.connect(self._on_item)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._node: Any = None
        self._observer: int | None = None
        self._hidden_columns: dict[str, bool] = {}

    def setMRMLScene(self, scene: Any) -> None:
        if scene is None:
            self.setSegmentationNode(None)

    def segmentationNode(self) -> Any:
        return self._node

    def tableWidget(self) -> QtWidgets.QTableWidget:
        return self._table

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return tuple(self._table.item(row, 0).data(Qt.UserRole) for row in rows)

    def setSegmentationNode(self, node: Any) -> None:
        if self._node is not None and self._observer is not None:
            self._node.RemoveObserver(self._observer)
        self._node = node
        self._observer = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._refresh) if node else None
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        self._table.blockSignals(True)
        segmentation = self._node.GetSegmentation() if self._node else None
        self._table.setRowCount(segmentation.GetNumberOfSegments() if segmentation else 0)
        for row in range(self._table.rowCount):
            segment_id = segmentation.GetNthSegmentID(row)
            segment = segmentation.GetSegment(segment_id)
            display = self._node.GetDisplayNode()
            visible = QtWidgets.QTableWidgetItem()
            shown = display is not None and display.GetSegmentVisibility(segment_id)
            visible.setCheckState(Qt.Checked if shown else Qt.Unchecked)
            visible.setData(Qt.UserRole, segment_id)
            opacity = QtWidgets.QTableWidgetItem(f"{display.GetSegmentOpacity3D(segment_id) if display else 1:.2f}")
            name = QtWidgets.QTableWidgetItem(segment.GetName())
            name.setIcon(_swatch(segment.GetColor()))
            for column, item in enumerate((visible, opacity, name)):
                self._table.setItem(row, column, item)
        self._table.blockSignals(False)

    def _on_item(self, item: QtWidgets.QTableWidgetItem) -> None:
        segment_id = self._table.item(item.row(), 0).data(Qt.UserRole)
        if item.column() == 0:
            self._node.GetDisplayNode().SetSegmentVisibility(segment_id, item.checkState() == Qt.Checked)

    @staticmethod
    def _ignored(qt_type: str) -> Property:
        return Property(qt_type, lambda self: False, lambda self, value: None)

    statusColumnVisible = _ignored("bool")
    readOnly = _ignored("bool")


def _swatch(color: tuple[float, float, float]) -> Any:
    from PySide6 import QtGui

    pixmap = QtGui.QPixmap(12, 12)
    pixmap.fill(QtGui.QColor.fromRgbF(*color))
    return QtGui.QIcon(pixmap)


MRML_WIDGETS: tuple[type, ...] = (qMRMLWidget, qMRMLNodeComboBox, qMRMLColorTableComboBox, qMRMLSegmentsTableView)
