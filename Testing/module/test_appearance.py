"""The panel in a narrow dock and with large letters: nothing is cut off, everything says what it is."""

from typing import Any

import host
import pytest

WIDTH = 380
SMALL_WINDOW_HEIGHT = 760 - 190
"""Of a window of 1280 x 760 pixels, what menus, tool bars, the module's title and the data probe leave."""


def widgets(module: host.LoadedModule, *class_names: str) -> dict[str, Any]:
    """Return the named widgets of some classes, those that the panel makes itself included."""
    import qt

    named = {widget.objectName: widget for widget in module.panel.findChildren(qt.QWidget) if widget.objectName}
    return {name: widget for name, widget in named.items() if widget.metaObject().className() in class_names}


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


def test_segment_and_volumes_fit_a_small_window(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    from module.driving import segment

    segment(module)
    module.widget.inputsPanel._images = {}  # the scans are so simple that they are taken for others
    module.widget.onParametersChanged()
    module.panel.resize(WIDTH, 10)
    for _ in range(3):
        app.processEvents()
        module.panel.resize(WIDTH, module.panel.layout().heightForWidth(WIDTH))
    for name in ("segmentButton", "messageLabel", "volumesTable"):
        widget = getattr(module.widget.ui, name)
        assert widget.visible, name
        bottom = widget.mapTo(module.panel, widget.rect.bottomLeft()).y()
        assert bottom < SMALL_WINDOW_HEIGHT, name


def test_title_of_the_selected_model_is_not_cut_off(module: host.LoadedModule, app: Any) -> None:
    ui = module.widget.ui
    module.panel.resize(WIDTH, 2000)
    for index in range(ui.modelBox.count):
        ui.modelBox.setCurrentIndex(index)
        app.processEvents()
        text = ui.modelBox.fontMetrics().boundingRect(ui.modelBox.currentText).width()
        in_full = ui.modelTitle.visible and ui.modelTitle.text == ui.modelBox.currentText
        assert in_full or ui.modelBox.width > text + 20, ui.modelBox.currentText


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
