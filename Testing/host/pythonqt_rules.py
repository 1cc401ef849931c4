"""Finds what PySide6 accepts in the modules' code and PythonQt would refuse or misread.

PythonQt shows a Qt property as an attribute, which cannot be called, and has no attributes of one's own on Qt objects;
its calls take no keywords, and a connection is only undone with its slot.
"""

import ast
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OF_SCOPED_ENUMS = ("Flag", "Policy", "Mode", "Style", "Shape", "Role", "Trigger", "Behavior")


def violations(source: str, widgets: dict[str, str]) -> list[str]:
    """Return what is wrong in a module's source, each with its line.

    Args:
        source: Python code.
        widgets: Classes of the widgets in the .ui files, by name.
    """
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assigned = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not _is_read(node)}
    return [
        f"line {node.lineno}: {ast.unparse(node)} {problem}"
        for node in ast.walk(tree)
        for problem in (*_problems_of_call(node, widgets), *_problems_of_name(node, widgets, called, assigned))
    ]


def widgets_of(folder: Path) -> dict[str, str]:
    """Return the classes of the widgets in the .ui files of a module, by name."""
    files = (folder / "Resources" / "UI").glob("*.ui")
    return {w.get("name", ""): w.get("class", "") for file in files for w in ET.parse(file).iter("widget")}


def _is_read(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Load)


def _problems_of_call(node: ast.AST, widgets: dict[str, str]) -> Iterator[str]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    of_qt = _widget_class(node.func.value, widgets) or ast.unparse(node.func).startswith(("qt.", "ctk."))
    if of_qt and node.keywords:
        yield "has keyword arguments"
    if node.func.attr == "disconnect" and not node.args:
        yield "has no slot"


def _problems_of_name(node: ast.AST, widgets: dict[str, str], called: set[int], assigned: set[int]) -> Iterator[str]:
    if not isinstance(node, ast.Attribute):
        return
    parts = ast.unparse(node).split(".")
    if parts[0] == "qt" and len(parts) > 3 and parts[-2].endswith(_OF_SCOPED_ENUMS):
        yield "is an enumeration by its scope"
    widget = _widget_class(node.value, widgets)
    if widget is None:
        return
    kind = _kind_of_member(widget, node.attr)
    if kind == "property" and id(node) in called:
        yield "is a property"
    elif kind == "method" and id(node) not in called:
        yield "is not called"
    elif kind != "property" and id(node) in assigned:
        yield "is no property"


def _widget_class(node: ast.expr, widgets: dict[str, str]) -> str | None:
    """Return the class of a widget that is named like ``ui.startButton`` or ``self._ui.startButton``."""
    of_ui = isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(("ui", "_ui"))
    return widgets.get(node.attr) if of_ui and isinstance(node, ast.Attribute) else None


def _kind_of_member(widget: str, name: str) -> str:
    """Return what a member of a widget is: a property, a signal, a method, or unknown."""
    from PySide6 import QtCore, QtWidgets

    from host.ctk_widgets import CTK_WIDGETS
    from host.qmrml_widgets import MRML_WIDGETS

    stand_ins = {cls.__name__: cls for cls in (*CTK_WIDGETS, *MRML_WIDGETS)}
    cls: Any = stand_ins.get(widget) or getattr(QtWidgets, widget)
    meta = cls.staticMetaObject
    if meta.indexOfProperty(name) >= 0:
        return "property"
    signals = QtCore.QMetaMethod.MethodType.Signal
    methods = [meta.method(index) for index in range(meta.methodCount())]
    if any(method.methodType() == signals and method.name().data().decode() == name for method in methods):
        return "signal"
    return "method" if callable(getattr(cls, name, None)) else "unknown"
