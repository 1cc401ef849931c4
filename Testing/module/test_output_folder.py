"""Folders for results that sections propose while a path is typed."""

from pathlib import Path
from typing import Any

import host
import pytest
from PySide6.QtTest import QTest


def type_path(edit: Any, path: Path) -> None:
    """Types a path letter by letter, in place of what is there."""
    edit._line.clear()
    QTest.keyClicks(edit._line, str(path))


@pytest.mark.parametrize(
    ("panel", "source", "output", "ending"),
    [
        ("batchPanel", "batchPlace", "batchOutput", "_results"),
        ("followUpPanel", "followUpPatient", "followUpOutput", "_follow-up"),
    ],
)
def test_output_folder_follows_a_typed_path(
    module: host.LoadedModule, tmp_path: Path, panel: str, source: str, output: str, ending: str
) -> None:
    ui = getattr(module.widget, panel)._ui
    (tmp_path / "study.v2").mkdir()
    (tmp_path / "patients.csv").touch()
    type_path(getattr(ui, source), tmp_path / "study.v2")  # the root folder, which has no name, comes first
    assert getattr(ui, output).currentPath == str(tmp_path / f"study.v2{ending}")
    getattr(ui, source).setCurrentPath(str(tmp_path / "patients.csv"))
    assert getattr(ui, output).currentPath == str(tmp_path / f"patients{ending}")
    getattr(ui, output).setCurrentPath(str(tmp_path / "mine"))
    type_path(getattr(ui, source), tmp_path / "study.v2")
    assert getattr(ui, output).currentPath == str(tmp_path / "mine")
