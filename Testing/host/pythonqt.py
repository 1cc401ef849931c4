"""PySide6 made to look like PythonQt: modules `qt` and `ctk`, and Qt properties as attributes of widgets."""

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_QT_MODULES = (QtCore, QtGui, QtWidgets)
qt_messages: list[str] = []
"""What Qt has said; `host.messages` reads it."""


class _QtProperty:
    """Attribute of an instance: the Qt property. Attribute of the class: what PySide6 has there.

    The two differ for names that are both, such as ``QTimer.singleShot``.
    """

    def __init__(self, name: str, of_class: Any) -> None:
        self._name = name
        self._of_class = of_class

    def __get__(self, obj: Any, owner: type) -> Any:
        return self._of_class if obj is None else QtCore.QObject.property(obj, self._name)

    def __set__(self, obj: Any, value: Any) -> None:
        QtCore.QObject.setProperty(obj, self._name, value)


def _show_properties(qt_class: type) -> None:
    meta = qt_class.staticMetaObject  # type: ignore[attr-defined]
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        setattr(qt_class, name, _QtProperty(name, getattr(qt_class, name, None)))


def _delete(obj: QtCore.QObject) -> None:
    obj.deleteLater()


def _file_name_alone(ask: Callable[..., tuple[str, str]]) -> Any:
    """PythonQt gives the file's name, PySide6 the chosen filter too."""
    return staticmethod(lambda *question: ask(*question)[0])


class _UiLoader(QtUiTools.QUiLoader):
    """Loads .ui files with the stand-ins for the widgets that Slicer's designer plug-ins bring."""

    custom_widgets: tuple[type, ...] = ()

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        for widget in self.custom_widgets:
            self.registerCustomWidget(widget)


def _report(kind: Any, context: Any, message: str) -> None:
    """PySide6 cannot make the .ui files' connections of MRML scenes; `qMRMLWidget.setMRMLScene` does that work."""
    about_scene = "vtkMRMLScene" in message or message.startswith("QObject::connect:  (")
    if not about_scene and "propagateSizeHints" not in message:
        qt_messages.append(f"Qt: {message}")
        print("Qt:", message, file=sys.stderr)


def install_qt() -> None:
    """Makes ``import qt`` work. Widgets of PySide6 have PythonQt's attributes from then on, in the whole process."""
    QtCore.qInstallMessageHandler(_report)
    for module in _QT_MODULES:
        for name in dir(module):
            entry = getattr(module, name)
            if isinstance(entry, type) and issubclass(entry, QtCore.QObject):
                _show_properties(entry)
    QtCore.QObject.name = _QtProperty("objectName", None)  # type: ignore[attr-defined]
    QtCore.QObject.className = lambda obj: obj.metaObject().className()  # type: ignore[attr-defined]
    QtCore.QObject.delete = _delete  # type: ignore[attr-defined]
    qt = ModuleType("qt")
    for module in _QT_MODULES:
        qt.__dict__.update({name: getattr(module, name) for name in dir(module) if not name.startswith("__")})
    QtWidgets.QFileDialog.getSaveFileName = _file_name_alone(QtWidgets.QFileDialog.getSaveFileName)  # type: ignore
    QtWidgets.QFileDialog.getOpenFileName = _file_name_alone(QtWidgets.QFileDialog.getOpenFileName)  # type: ignore
    qt.QUiLoader = _UiLoader  # type: ignore[attr-defined]
    sys.modules["qt"] = qt


def install_custom_widgets(ctk_widgets: tuple[type, ...], mrml_widgets: tuple[type, ...]) -> None:
    """Makes ``import ctk`` work, and lets .ui files name the given classes."""
    ctk = ModuleType("ctk")
    ctk.__dict__.update({widget.__name__: widget for widget in ctk_widgets})
    sys.modules["ctk"] = ctk
    _UiLoader.custom_widgets = ctk_widgets + mrml_widgets
