"""The panel in a narrow dock and with large letters: nothing is cut off, everything says what it is."""

from pathlib import Path
from typing import Any

import host
import pytest
from module.driving import wait_until
from module.test_appearance import WIDTH, widgets
from tokenunet.training.experiment.summary import write_summary
from training_fixtures import fabricated_experiment


def test_everything_that_can_be_used_has_a_tooltip(module: host.LoadedModule) -> None:
    classes = ("QPushButton", "QComboBox", "QCheckBox", "QSpinBox", "QTableWidget", "QProgressBar", "QLineEdit")
    found = widgets(module, *classes, "ctkPathLineEdit")
    assert len(found) > 25
    assert [name for name, widget in found.items() if not widget.toolTip and not name.startswith("qt_")] == []


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_nothing_is_cut_off(module: host.LoadedModule, factor: float, app: Any, tmp_path: Path) -> None:
    font = module.panel.font
    font.setPointSizeF(font.pointSizeF() * factor)
    module.panel.setFont(font)
    module.panel.resize(WIDTH, 2000)
    ui = module.widget.ui
    experiment = fabricated_experiment(tmp_path / "experiment", ("token_unet_transformer", "unet"), 3)
    write_summary(experiment)
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    for _ in range(3):
        app.processEvents()
    assert module.panel.width == WIDTH
    shown = {name: w for name, w in widgets(module, "QPushButton", "QCheckBox", "QLabel").items() if w.visible}
    assert len(shown) > 20
    assert {
        name: widget.width
        for name, widget in shown.items()
        if not getattr(widget, "wordWrap", False) and widget.width < widget.property("minimumSizeHint").width()
    } == {}
    for table in (ui.resultsTable, ui.casesTable):
        assert all("%" in table.item(0, column).text() for column in range(1, table.columnCount)), "Dice in percent"
    module.panel.resize(WIDTH, 2100)
    module.widget.onTimer()
    two_lines = 2 * ui.resultsTable.fontMetrics().height()
    assert ui.resultsTable.rowHeight(0) >= two_lines, "mean and standard deviation"
    for table in (ui.foldsTable, ui.resultsTable, ui.casesTable):
        last = table.visualItemRect(table.item(table.rowCount - 1, table.columnCount - 1))
        assert last.bottom() <= table.viewport().height, table.objectName
        assert last.right() <= table.viewport().width, table.objectName
        header = table.horizontalHeader()
        narrow = [n for n in range(table.columnCount) if header.sectionSize(n) < header.sectionSizeHint(n)]
        assert narrow == [], table.objectName


def test_tables_take_the_height_that_their_width_asks_for(module: host.LoadedModule, tmp_path: Path) -> None:
    font = module.panel.font
    font.setPointSizeF(font.pointSizeF() * 1.5)
    module.panel.setFont(font)
    module.panel.resize(WIDTH, 2000)
    experiment = fabricated_experiment(tmp_path / "experiment", ("token_unet_transformer",), 5)
    module.widget.ui.experimentPath.setCurrentPath(str(experiment.folder))
    table = module.widget.ui.foldsTable
    wait_until(lambda: table.width < WIDTH, 5)
    narrow = table.height
    module.panel.resize(2 * WIDTH, 2000)
    wait_until(lambda: table.height < 0.8 * narrow, 5)
