"""The panel in a narrow dock and with large letters: nothing is cut off, everything says what it is."""

from typing import Any

import host
import pytest

WIDTH = 380


def widgets(module: host.LoadedModule, *class_names: str) -> dict[str, Any]:
    return {name: w for name, w in vars(module.widget.ui).items() if w.metaObject().className() in class_names}


def test_everything_that_can_be_used_has_a_tooltip(module: host.LoadedModule) -> None:
    classes = ("QPushButton", "QToolButton", "QComboBox", "QCheckBox", "QTableWidget", "QProgressBar", "QPlainTextEdit")
    own = ("ctkSliderWidget", "qMRMLNodeComboBox", "qMRMLColorTableComboBox", "qMRMLSegmentsTableView")
    found = widgets(module, *classes, *own)
    assert len(found) > 40
    assert [name for name, widget in found.items() if not widget.toolTip and not name.startswith("qt_")] == []


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_nothing_is_cut_off(module: host.LoadedModule, factor: float, app: Any) -> None:
    font = module.panel.font
    font.setPointSizeF(font.pointSizeF() * factor)
    module.panel.setFont(font)
    module.panel.resize(WIDTH, 2000)
    for _ in range(3):
        app.processEvents()
    assert module.panel.width == WIDTH
    texts = widgets(module, "QPushButton", "QToolButton", "QCheckBox", "QLabel")
    shown = {name: widget for name, widget in texts.items() if widget.visible}
    assert len(shown) > 30
    too_narrow = {
        name: (widget.width, widget.property("minimumSizeHint").width())
        for name, widget in shown.items()
        if not getattr(widget, "wordWrap", False) and widget.width < widget.property("minimumSizeHint").width()
    }
    assert too_narrow == {}


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_tables_show_all_their_rows(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, factor: float
) -> None:
    from module.driving import segment, wait_until

    font = module.panel.font
    font.setPointSizeF(font.pointSizeF() * factor)
    module.panel.setFont(font)
    segment(module)
    ui = module.widget.ui
    wait_until(lambda: ui.overlapTable.rowCount == 8)
    for table in (ui.volumesTable, ui.overlapTable):
        last = table.visualItemRect(table.item(table.rowCount - 1, 0))
        assert last.bottom() <= table.viewport().height, table.objectName
