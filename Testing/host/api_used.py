"""Lists what the modules use of Slicer's, ctk's and Qt's Python API, and where Slicer's source has it.

``python Testing/host/api_used.py SLICER CTK`` writes ``Testing/host/API.md``; the arguments are git checkouts of
Slicer/Slicer and commontk/CTK with the tags of the releases. What a panel calls on MRML and VTK objects is not listed:
the tests call the real classes.
"""

import argparse
import ast
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("API.md")
MODULES = ("TokenUNetSegmentation", "TokenUNetTraining")
RELEASES = ("v5.10.0", "v5.12.0", "v5.12.3")
"""Of Slicer, the oldest that the extension should work in first."""

_NAMESPACES = ("slicer.util", "slicer.app", "slicer.modules")
_WIDGET_FILES = re.compile(r"/panels/\w+\.py$|(background_steps|Segmentation|Training)\.py$")
_HEADERS = ("Libs/MRML/Widgets", "Base/QTCore", "Base/QTGUI", "Modules/Loadable", "Modules/Scripted/DICOMLib/Widgets")
_BASE_CLASSES = {"qMRMLColorTableComboBox": "qMRMLNodeComboBox"}
_OF_EVERY_WIDGET = ("toolTip", "enabled", "minimumSize", "maximumSize")
_OWN_NAMES = {
    "show",
    "close",
    "start",
    "finished",
    "find",
    "group",
    "name",
    "parent",
    "layout",
    "value",
    "values",
    "text",
    "result",
    "toggle",
}
"""Qt has members of these names, but so have the panels' own objects."""


@dataclass(frozen=True, order=True)
class Use:
    """A name that the modules use.

    Attributes:
        kind: ``slicer``, ``qt``, ``member`` (of a widget or another Qt object) or ``ui`` (a property in a .ui file).
        name: such as ``slicer.util.loadUI``, ``qt.QTimer``, ``QPushButton.setEnabled``.
    """

    kind: str
    name: str


def uses() -> dict[Use, str]:
    """Everything that is used, each with the first file that uses it."""
    found: dict[Use, str] = {}
    for module in MODULES:
        widgets = dict(_widgets_of_ui(ROOT / module))
        for path in (ROOT / module / f"{module}.py", *sorted((ROOT / module / f"{module}Lib").rglob("*.py"))):
            for use in _uses_in(path, widgets):
                found.setdefault(use, path.name)
        for path in sorted((ROOT / module / "Resources" / "UI").glob("*.ui")):
            for use in _uses_in_ui(path):
                found.setdefault(use, path.name)
    return dict(sorted(found.items()))


def _uses_in(path: Path, widgets: dict[str, str]) -> Iterator[Use]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    members = _members_of_qt() if _WIDGET_FILES.search(path.as_posix()) else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slicer"):
            for alias in node.names:
                yield Use("slicer", f"{node.module}.{alias.name}")
        if not isinstance(node, ast.Attribute):
            continue
        name = ast.unparse(node)
        own = name in _NAMESPACES or any(name.startswith(f"slicer.modules.{m.lower()}") for m in MODULES)
        if re.fullmatch(r"slicer(\.\w+)+", name) and not own:
            namespace = next((n for n in _NAMESPACES if name.startswith(f"{n}.")), "slicer")
            depth = 3 if namespace in _NAMESPACES else 2
            yield Use("slicer", ".".join(name.split(".")[:depth]))
        elif re.fullmatch(r"qt(\.\w+)+", name):
            yield Use("qt", name)
        elif widget := re.search(r"(?:^|[._])ui\.(\w+)$", ast.unparse(node.value)):
            if widget[1] in widgets:
                yield Use("member", f"{widgets[widget[1]]}.{node.attr}")
        elif node.attr in members - _OWN_NAMES:
            yield Use("member", node.attr)


def _members_of_qt() -> set[str]:
    from PySide6 import QtCore, QtGui, QtWidgets

    classes = (
        *(QtWidgets.QTableWidget, QtWidgets.QTableWidgetItem, QtWidgets.QHeaderView, QtWidgets.QComboBox),
        *(QtWidgets.QToolButton, QtWidgets.QFileDialog, QtWidgets.QListWidget, QtGui.QShortcut, QtCore.QTimer),
    )
    methods = {name for cls in classes for name in dir(cls) if not name.startswith("_")}
    meta_objects = [cls.staticMetaObject for cls in classes if issubclass(cls, QtCore.QObject)]
    return methods | {str(meta.property(i).name()) for meta in meta_objects for i in range(meta.propertyCount())}


def _widgets_of_ui(module: Path) -> Iterator[tuple[str, str]]:
    for path in (module / "Resources" / "UI").glob("*.ui"):
        for widget in ET.parse(path).iter("widget"):
            yield widget.get("name", ""), widget.get("class", "")


def _uses_in_ui(path: Path) -> Iterator[Use]:
    for widget in ET.parse(path).iter("widget"):
        for setting in widget.findall("property"):
            if setting.get("stdset") != "0":
                yield Use("ui", f"{widget.get('class')}.{setting.get('name')}")


class Source:
    """Finds lines in git checkouts at a release's tag."""

    def __init__(self, slicer: Path, ctk: Path) -> None:
        self._slicer = slicer
        self._ctk = ctk

    def place_of(self, use: Use) -> str:
        """Release and line where Slicer defines it or its own modules use it; empty where they do not."""
        for release in RELEASES:
            for pattern, paths in _searches(use):
                if line := self._find(self._slicer, release, pattern, paths):
                    return f"{release} `{line}`"
        member = use.name.rpartition(".")[2]
        if use.name.startswith("ctk"):
            header = f"Libs/Widgets/{use.name.split('.')[0]}.h"
            if line := self._find(self._ctk, "HEAD", rf"\b{member}\b", [header]):
                return f"CTK `{line}`"
        return ""

    @staticmethod
    def _find(repository: Path, revision: str, pattern: str, paths: list[str]) -> str:
        command = ["git", "-C", str(repository), "grep", "-n", "-m", "1", "-P", pattern, revision, "--", *paths]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.kill()  # the first place is enough
        return ":".join(line.split(":")[1:3])


def _searches(use: Use) -> Iterator[tuple[str, list[str]]]:
    """What to search for and where: the definition first, then a use in Slicer's own Python code."""
    *namespace, name = use.name.split(".")
    python = ["Modules/*.py", "Base/*.py", "Applications/*.py", "Docs/developer_guide/script_repository/*.md"]
    cls = namespace[0] if namespace else ""
    if use.kind == "slicer":
        if namespace[:2] == ["slicer", "app"]:
            yield rf"\b{name}\(", ["Base/QTCore/qSlicerCoreApplication.h", "Base/QTGUI/qSlicerApplication.h"]
        elif len(namespace) == 1:
            yield rf"^class (\w+ )?{name}\b[^;]*$", ["*.h"]
        else:
            yield rf"^(def|class) {name}\b|^from .*import.*\b{name}\b", [f"Base/Python/{'/'.join(namespace)}*"]
        yield rf"\b{re.escape(use.name)}\b", python
        yield rf"\.{name}\b", python
    elif use.kind == "qt":
        yield rf"\b{re.escape(use.name)}\b", python
        if len(namespace) > 1:
            yield rf"\.{name}\b", python
    elif cls.startswith("qMRML"):
        pattern = rf"Q_PROPERTY\(.*\b{name}\b" if use.kind == "ui" else rf"\b{name}\b"
        for folder in _HEADERS:
            for declared_in in (cls, _BASE_CLASSES.get(cls, cls)):
                yield pattern, [f"{folder}/*{declared_in}.h"]
    elif use.kind == "member" and not cls.startswith("ctk"):
        yield rf'\.{name}\b|"{name}\(', python
    if use.kind == "ui" and (not cls.startswith(("ctk", "qMRML")) or name in _OF_EVERY_WIDGET):
        yield rf'property name="{name}"', ["*.ui"]
    if not use.name.startswith(("ctk", "qMRML", "slicer")):
        yield rf"\b{name}\b", ["*.cxx", "*.h"]  # Qt's own; PythonQt wraps all of Qt's widgets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slicer", type=Path)
    parser.add_argument("ctk", type=Path)
    options = parser.parse_args()
    source = Source(options.slicer, options.ctk)
    rows = [(use.name, file, source.place_of(use)) for use, file in uses().items()]
    TABLE.write_text(
        "# The Python API that the modules use\n"
        "Made by `python Testing/host/api_used.py SLICER CTK`. The last column is where Slicer's source, in the\n"
        "oldest release that has it, defines the name, or where its own files use it.\n\n"
        "| name | first used in | where it exists |\n| --- | --- | --- |\n"
        + "".join(f"| `{name}` | {file} | {place or '**not found**'} |\n" for name, file, place in rows),
        encoding="utf-8",
    )
    missing = [name for name, _file, place in rows if not place]
    print(f"{len(rows)} names, {len(missing)} not found: {', '.join(missing)}")


if __name__ == "__main__":
    main()
