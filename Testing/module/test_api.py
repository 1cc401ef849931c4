"""The modules use names that were found in Slicer's source, and use them as PythonQt wants it."""

from typing import Any

import pytest
from host.api_used import MODULES, ROOT, TABLE, uses
from host.pythonqt_rules import violations, widgets_of


def test_list_of_used_api_is_up_to_date() -> None:
    rows = {line.split("|")[1].strip().strip("`") for line in TABLE.read_text().splitlines() if line.startswith("| `")}
    assert {use.name for use in uses()} == rows, "run Testing/host/api_used.py"


def test_every_name_has_its_place_in_slicers_source() -> None:
    missing = [line for line in TABLE.read_text().splitlines() if "not found" in line]
    assert missing == []


@pytest.mark.parametrize("module", MODULES)
def test_code_is_not_what_only_pyside_accepts(app: Any, module: str) -> None:
    widgets = widgets_of(ROOT / module)
    files = [ROOT / module / f"{module}.py", *(ROOT / module / f"{module}Lib").rglob("*.py")]
    assert {file.name: found for file in files if (found := violations(file.read_text(), widgets))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "ui.table.rowCount()",
        "row = self._ui.table.currentRow",
        "ui.table.patient = 3",
        "ui.path.current_path = 'a'",
        "ui.table.setItem(row=0, column=0, item=item)",
        "qt.QPushButton('Start', enabled=False)",
        "ui.table.itemSelectionChanged.disconnect()",
        "item.setTextAlignment(qt.Qt.AlignmentFlag.AlignRight)",
    ],
)
def test_what_only_pyside_accepts_is_found(app: Any, code: str) -> None:
    assert len(violations(code, {"table": "QTableWidget", "path": "ctkPathLineEdit"})) == 1
