"""Stand-ins for the ctk widgets that the modules use."""

# ruff: noqa: N801, N815  names are those of Slicer and Qt

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal

_HEADER_PADDING = 8


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section that a click on the title folds."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._collapsed = False
        self._fit_header()

    def _header_height(self) -> int:
        return self.fontMetrics().height() + _HEADER_PADDING

    def _fit_header(self) -> None:
        self.setContentsMargins(2, self._header_height() + 2, 2, 2)
        self.setMaximumHeight(self._header_height() if self._collapsed else 16777215)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        if event.type() == QtCore.QEvent.FontChange:
            self._fit_header()
        super().changeEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        header = QtCore.QRect(0, 0, self.width, self._header_height())
        painter.fillRect(header, self.palette.color(QtGui.QPalette.Midlight))
        title = ("▸ " if self._collapsed else "▾ ") + self._text
        painter.drawText(header.adjusted(6, 0, 0, 0), Qt.AlignVCenter, title)
        painter.end()

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.position().y() < self._header_height():
            self.collapsed = not self.collapsed

    def _get_text(self) -> str:
        return self._text

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        for child in self.children():  # one container of everything: see the .ui files
            if child.isWidgetType():
                child.setVisible(not collapsed)
        self._fit_header()
        self.contentsCollapsed.emit(collapsed)

    text = Property(str, _get_text, _set_text)
    collapsed = Property(bool, _get_collapsed, _set_collapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(Qt.Horizontal)
        self._slider.setRange(0, 1000)
        self._spin_box = QtWidgets.QDoubleSpinBox()
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin_box)
        self._slider.sliderMoved.connect(self._on_slider)
        self._spin_box.valueChanged.connect(self._on_value)

    def _on_slider(self, position: int) -> None:
        self._spin_box.setValue(self.minimum + position / 1000 * (self.maximum - self.minimum))

    def _on_value(self, value: float) -> None:
        self._slider.setValue(round(1000 * (value - self.minimum) / ((self.maximum - self.minimum) or 1)))
        self.valueChanged.emit(value)

    minimum = Property(float, lambda self: self._spin_box.minimum, lambda self, v: self._spin_box.setMinimum(v))
    maximum = Property(float, lambda self: self._spin_box.maximum, lambda self, v: self._spin_box.setMaximum(v))
    singleStep = Property(
        float, lambda self: self._spin_box.singleStep, lambda self, v: self._spin_box.setSingleStep(v)
    )
    decimals = Property(int, lambda self: self._spin_box.decimals, lambda self, v: self._spin_box.setDecimals(v))
    suffix = Property(str, lambda self: self._spin_box.suffix, lambda self, v: self._spin_box.setSuffix(v))
    value = Property(float, lambda self: self._spin_box.value, lambda self, v: self._spin_box.setValue(v))


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line with a path and a button that asks for one; as in CTK, an emptied line only becomes invalid."""

    Dirs = 1
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._valid = False
        self._line = QtWidgets.QLineEdit()
        self._button = QtWidgets.QToolButton()
        self._button.setText("…")
        layout.addWidget(self._line, 1)
        layout.addWidget(self._button)
        self._line.textChanged.connect(self._tell)

    def _tell(self, path: str) -> None:
        if self._valid != bool(path):
            self._valid = bool(path)
            self.validInputChanged.emit(self._valid)
        if path:
            self.currentPathChanged.emit(path)

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    currentPath = Property(str, lambda self: self._line.text, setCurrentPath)
    filters = Property(int, lambda self: self.Dirs, lambda self, filters: None)


CTK_WIDGETS: tuple[type, ...] = (ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget)
