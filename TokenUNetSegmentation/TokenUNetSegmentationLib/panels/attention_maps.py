"""The panel's part "Attention masks": which mask lies over the scan, and how."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.regions import REGIONS, RegionName

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.attention_maps import MaskKind, set_threshold
from TokenUNetSegmentationLib.scene.displays import show_mask
from TokenUNetSegmentationLib.scene.map_colors import recolor
from TokenUNetSegmentationLib.scene.map_overlap import overlap_steps
from TokenUNetSegmentationLib.scene.map_views import is_grid, leave_grid, show_grid, show_in_3d, write_thumbnail
from TokenUNetSegmentationLib.scene.results import PatientResult

_KEYS = range(1, 10)
_COLUMNS = 4
_ICON_SIZE = 48


class MasksPanel:
    """Shows the masks of one result.

    Args:
        ui: the widgets of the .ui file.
        parameters: gives the module's parameter node, or None while there is no scene.
        result: gives the selected result, or None.
        shortcut_parent: the widget within which the keys 1 to 9 work.
    """

    def __init__(
        self,
        ui: Any,
        parameters: Callable[[], Any],
        result: Callable[[], PatientResult | None],
        shortcut_parent: Any,
    ) -> None:
        self._ui = ui
        self._parameters = parameters
        self._result = result
        self._layout_before: int | None = None
        self._described: tuple[str, MaskKind] | None = None
        self._describing = BackgroundSteps(lambda: None, self._end_description)
        self._shown: tuple[object, ...] = ()
        self._buttons: dict[int, Any] = {}
        for number in _KEYS:
            shortcut = qt.QShortcut(qt.QKeySequence(str(number)), shortcut_parent)
            shortcut.activated.connect(lambda *_, number=number: self.toggle(number))
        ui.overlapTable.setColumnCount(len(REGIONS))
        ui.overlapTable.setHorizontalHeaderLabels(list(REGIONS))
        ui.gridButton.toggled.connect(lambda *_: self._toggle_grid())
        ui.volumeRenderingButton.toggled.connect(lambda *_: self._show_in_3d())
        ui.maskColorBox.currentNodeChanged.connect(lambda *_: self._set_colors())

    def button(self, number: int) -> Any:
        """Return the thumbnail of a map, created when it is first needed."""
        if number not in self._buttons:
            button = qt.QToolButton()
            button.setText(str(number))
            button.setCheckable(True)
            button.setToolButtonStyle(qt.Qt.ToolButtonTextUnderIcon)
            button.setIconSize(qt.QSize(_ICON_SIZE, _ICON_SIZE))
            button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
            key = _(" (key {number})").format(number=number) if number in _KEYS else ""
            button.setToolTip(_("Show map {number} over the slices{key}.").format(number=number, key=key))
            button.clicked.connect(lambda *_arguments: self.toggle(number))
            self._ui.mapsWidget.layout().addWidget(button, (number - 1) // _COLUMNS, (number - 1) % _COLUMNS)
            self._buttons[number] = button
        return self._buttons[number]

    def _masks(self) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
        result = self._result()
        return {} if result is None else result.masks(self._parameters().maskKind)

    def toggle(self, number: int) -> None:
        """Lays a mask over the scan, or takes it away where it lies there already."""
        if number in self._masks():
            parameters = self._parameters()
            parameters.maskNumber = 0 if parameters.maskNumber == number else number

    def show(self) -> None:
        """Brings all that is seen up to date."""
        masks = self._masks()
        parameters = self._parameters()
        chosen = masks.get(parameters.maskNumber)
        for number in {*masks, *self._buttons}:
            self.button(number).setVisible(number in masks)
            self.button(number).setChecked(chosen is not None and number == parameters.maskNumber)
        for widget in (
            self._ui.maskOpacitySlider,
            self._ui.maskThresholdSlider,
            self._ui.maskColorBox,
            self._ui.gridButton,
        ):
            widget.setEnabled(bool(masks))
        self._ui.volumeRenderingButton.setEnabled(chosen is not None)
        self._ui.volumeRenderingButton.setToolTip(
            _("Volume rendering of the chosen mask.") if chosen is not None else _("Choose a mask first.")
        )
        reason = "" if masks or self._result() is None else _("This result was made without attention masks.")
        self._ui.masksLabel.setText(reason)
        self._ui.masksLabel.setVisible(bool(reason))
        self._show_in_views(masks, chosen)
        self._describe()

    def _show_in_views(self, masks: dict[int, Any], chosen: Any) -> None:
        """Only on a change: what the user arranges in the views in the meantime stays."""
        parameters = self._parameters()
        wanted = (chosen and chosen.GetID(), parameters.maskKind, parameters.maskOpacity, parameters.maskThreshold)
        if not masks or wanted == self._shown:
            return
        for mask in masks.values():
            set_threshold(mask, parameters.maskThreshold / 100)
        if self._ui.gridButton.checked:
            self._fill_grid()
        elif chosen is not None or self._shown:
            show_mask(chosen, parameters.maskOpacity)
        self._shown = wanted

    def _describe(self) -> None:
        """Small pictures and the table of overlaps, once for each result and kind."""
        result = self._result()
        description = None if result is None else (result.segmentation.GetID(), self._parameters().maskKind)
        if description == self._described:
            return
        self._described = description
        self._describing.abandon()
        fill_table(self._ui.overlapTable, [])
        for button in self._buttons.values():
            button.setIcon(qt.QIcon())
        if result is not None:
            self._describing.start(self._description_steps(result, self._parameters().maskKind))

    def _description_steps(self, result: PatientResult, kind: MaskKind) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            for number, mask in result.masks(kind).items():
                path = Path(folder) / f"{number}.png"
                write_thumbnail(mask, path)
                self.button(number).setIcon(qt.QIcon(qt.QPixmap(str(path))))
        yield
        table: dict[int, dict[RegionName, float]] = {}
        for table_so_far in overlap_steps(result, kind):
            table = table_so_far
            yield
        rows = [[f"{by_region[name]:.3f}" for name in REGIONS] for by_region in table.values()]
        fill_table(self._ui.overlapTable, rows, [str(number) for number in table])

    def _end_description(self, error: Exception | None) -> None:
        if error is not None:
            self._ui.masksLabel.setText(sentence(error))
            self._ui.masksLabel.setVisible(True)

    def forget(self) -> None:
        """Makes the next `show` describe the masks anew: the segments have changed."""
        self._described = None

    def abandon(self) -> None:
        """Stop the background work and leave the grid, whose maps may be about to go."""
        self._describing.abandon()
        self._ui.gridButton.setChecked(False)

    def _set_colors(self) -> None:
        result = self._result()
        if result is not None:
            recolor(result, self._parameters().maskKind, self._ui.maskColorBox.currentNode())
            self._described = None
            self._describe()

    def _toggle_grid(self) -> None:
        if self._ui.gridButton.checked:
            self._fill_grid()
        elif self._layout_before is not None:
            leave_grid(self._layout_before)
            self._layout_before = None

    def _fill_grid(self) -> None:
        result = self._result()
        masks = self._masks()
        if result is None or result.reference is None or not masks:
            return
        before = show_grid(result, masks, self._parameters().maskOpacity)
        if self._layout_before is None and not is_grid(before):
            self._layout_before = before

    def _show_in_3d(self) -> None:
        chosen = self._parameters().maskNumber
        for number, mask in self._masks().items():
            show_in_3d(mask, self._ui.volumeRenderingButton.checked and number == chosen)
