"""Small read-only tables in the panel."""

from collections.abc import Sequence
from typing import Any

import qt

_HEADER_PADDING = 8


def fill_table(
    table: Any, rows: Sequence[Sequence[str]], row_names: Sequence[str] = (), widest: int | None = None
) -> None:
    """Display rows in a table that is as high as all of them.

    Args:
        table: QTableWidget with its columns set up.
        rows: Texts of the cells; the first column is aligned left, numbers are aligned right.
        row_names: Headers of the rows, if they have any.
        widest: Column of text that gets all the width that the others do not need; None shares it among the numbers.
    """
    table.setRowCount(len(rows))
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            item = qt.QTableWidgetItem(text)
            if column != widest and (column or row_names):
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(number, column, item)
    if row_names:
        table.setVerticalHeaderLabels(list(row_names))
    table.verticalHeader().setVisible(bool(row_names))
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.Stretch if widest is None else qt.QHeaderView.ResizeToContents)
    if widest is not None:
        header.setSectionResizeMode(widest, qt.QHeaderView.Stretch)
    elif not row_names:
        header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
    fit_rows(table)


def fit_rows(table: Any) -> None:
    """Make a table as high as all of its rows, which wrap in its current width and font."""
    table.resizeRowsToContents()
    header_height = table.fontMetrics().height() + _HEADER_PADDING
    table.horizontalHeader().setFixedHeight(header_height)
    table.setFixedHeight(header_height + table.verticalHeader().length() + 2 * table.frameWidth)
