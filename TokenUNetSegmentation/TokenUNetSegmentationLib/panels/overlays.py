"""Section "Overlays" of the panel: selection and appearance of the overlay displayed over the scan."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.regions import REGIONS, RegionName

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.displays import show_overlay
from TokenUNetSegmentationLib.scene.overlay_colors import recolor, show_legend
from TokenUNetSegmentationLib.scene.overlay_overlap import overlap_steps
from TokenUNetSegmentationLib.scene.overlay_views import (
    create_view_steps,
    has_views,
    is_grid,
    leave_grid,
    show_grid,
    show_in_3d,
    write_thumbnail,
)
from TokenUNetSegmentationLib.scene.overlays import range_text, set_threshold
from TokenUNetSegmentationLib.scene.results import PatientResult

_KEYS = range(1, 10)
_COLUMNS = 4
_ICON_SIZE = 48


class OverlaysPanel:
    """Section that displays one group of a result's overlays, with a thumbnail for each overlay.

    Args:
        ui: Widgets of the .ui file.
        parameters: Function that returns the module's parameter node, or None while there is no scene.
        result: Function that returns the selected result, or None.
        shortcut_parent: Widget within which the keys 1 to 9 work.
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
        self._described: tuple[str, str] | None = None
        self._describing = BackgroundSteps(lambda: None, self._end_description)
        self._creating_views = BackgroundSteps(lambda: None, self._end_creation)
        self._shown: tuple[object, ...] = ()
        self._rendered: slicer.vtkMRMLScalarVolumeNode | None = None
        self._groups: list[str] = []
        self._buttons: dict[int, Any] = {}
        for number in _KEYS:
            shortcut = qt.QShortcut(qt.QKeySequence(str(number)), shortcut_parent)
            shortcut.activated.connect(lambda *_, number=number: self.toggle(number))
        ui.overlapTable.setColumnCount(len(REGIONS))
        ui.overlapTable.setHorizontalHeaderLabels(list(REGIONS))
        self._fill_overlap({})
        ui.overlayGroupBox.currentIndexChanged.connect(lambda *_: self._choose_group())
        ui.gridButton.toggled.connect(lambda *_: self._toggle_grid())
        ui.volumeRenderingButton.toggled.connect(lambda *_: self._show_in_3d())
        ui.overlayColorBox.currentNodeChanged.connect(lambda *_: self._set_colors())

    def button(self, number: int) -> Any:
        """Return the thumbnail of an overlay, created when it is first needed."""
        if number not in self._buttons:
            button = qt.QToolButton()
            button.setText(str(number))
            button.setCheckable(True)
            button.setToolButtonStyle(qt.Qt.ToolButtonTextUnderIcon)
            button.setIconSize(qt.QSize(_ICON_SIZE, _ICON_SIZE))
            button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
            button.clicked.connect(lambda *_arguments: self.toggle(number))
            self._ui.overlaysWidget.layout().addWidget(button, (number - 1) // _COLUMNS, (number - 1) % _COLUMNS)
            self._buttons[number] = button
        return self._buttons[number]

    @property
    def creating_views(self) -> bool:
        """Whether views of the grid are being created."""
        return self._creating_views.running

    @property
    def group(self) -> str:
        """Name of the displayed group, which is the first one unless the user has chosen another; empty if none."""
        result = self._result()
        groups = [] if result is None else list(result.overlay_groups)
        chosen = self._parameters().overlayGroup
        return chosen if chosen in groups else next(iter(groups), "")

    def _overlays(self) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
        result = self._result()
        return {} if result is None else result.overlays(self.group)

    def toggle(self, number: int) -> None:
        """Display an overlay over the scan, or remove it if it is displayed."""
        if number in self._overlays():
            parameters = self._parameters()
            parameters.overlayNumber = 0 if parameters.overlayNumber == number else number

    def show(self) -> None:
        """Update all that is displayed."""
        self._show_groups()
        overlays = self._overlays()
        parameters = self._parameters()
        chosen = overlays.get(parameters.overlayNumber)
        for number in {*overlays, *self._buttons}:
            self.button(number).setVisible(number in overlays)
            self.button(number).setChecked(chosen is not None and number == parameters.overlayNumber)
        for number, node in overlays.items():
            key = _(" (key {number})").format(number=number) if number in _KEYS else ""
            self.button(number).setToolTip(
                _("Display {title} over the slices{key}.").format(title=node.GetName(), key=key)
            )
        for widget in (
            self._ui.overlayGroupBox,
            self._ui.overlayOpacitySlider,
            self._ui.overlayThresholdSlider,
            self._ui.overlayColorBox,
            self._ui.gridButton,
        ):
            widget.setEnabled(bool(overlays))
        result = self._result()
        if not overlays or result is None or result.reference is None:  # removed while they were displayed
            self._ui.gridButton.setChecked(False)
            self._ui.gridButton.setEnabled(False)
        if chosen is None:
            self._ui.volumeRenderingButton.setChecked(False)
        self._ui.volumeRenderingButton.setEnabled(chosen is not None)
        self._ui.volumeRenderingButton.setToolTip(
            _("Volume rendering of the chosen overlay.") if chosen is not None else _("Choose an overlay first.")
        )
        self._ui.overlayRangeLabel.setText(
            "" if chosen is None else _("{title}: {range}").format(title=chosen.GetName(), range=range_text(chosen))
        )
        self._ui.overlayRangeLabel.setVisible(chosen is not None)
        self._say("" if overlays or self._result() is None else _("This result was made without overlays."))
        self._show_in_views(overlays, chosen)
        self._describe()

    def _say(self, text: str) -> None:
        self._ui.overlaysLabel.setText(text)
        self._ui.overlaysLabel.setVisible(bool(text))

    def _show_groups(self) -> None:
        """Fill the list of groups, and select the displayed one."""
        result = self._result()
        groups = {} if result is None else result.overlay_groups
        box = self._ui.overlayGroupBox
        was_blocked = box.blockSignals(True)
        if list(groups) != self._groups:
            self._groups = list(groups)
            box.clear()
            for group in groups.values():
                box.addItem(group.title)
        if self._groups:
            box.setCurrentIndex(self._groups.index(self.group))
            box.setToolTip(groups[self.group].description)
        box.blockSignals(was_blocked)

    def _choose_group(self) -> None:
        index = self._ui.overlayGroupBox.currentIndex
        if 0 <= index < len(self._groups):
            self._parameters().overlayGroup = self._groups[index]

    def _show_in_views(self, overlays: dict[int, Any], chosen: Any) -> None:
        """Update the views on a change only: what the user arranges in the meantime stays."""
        parameters = self._parameters()
        wanted = (chosen and chosen.GetID(), self.group, parameters.overlayOpacity, parameters.overlayThreshold)
        if not overlays or wanted == self._shown:
            return
        set_threshold(overlays.values(), parameters.overlayThreshold / 100)
        if self._ui.gridButton.checked:
            self._fill_grid()
        elif chosen is not None or self._shown:
            show_overlay(chosen, parameters.overlayOpacity)
        self._shown = wanted
        self._show_legend()
        self._show_in_3d()

    def _show_legend(self) -> None:
        """Display the legend of the chosen overlay, but not in the small views of the grid."""
        in_grid = self._ui.gridButton.checked
        show_legend(None if in_grid else self._overlays().get(self._parameters().overlayNumber))

    def _describe(self) -> None:
        """Make thumbnails and the table of overlaps, once for each result and group."""
        result = self._result()
        description = None if result is None else (result.segmentation.GetID(), self.group)
        if description == self._described:
            return
        self._described = description
        self._describing.abandon()
        self._fill_overlap({})
        for button in self._buttons.values():
            button.setIcon(qt.QIcon())
        if result is not None:
            self._describing.start(self._description_steps(result, self.group))

    def _description_steps(self, result: PatientResult, group: str) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            for number, overlay in result.overlays(group).items():
                path = Path(folder) / f"{number}.png"
                write_thumbnail(overlay, path)
                self.button(number).setIcon(qt.QIcon(qt.QPixmap(str(path))))
        yield
        table: dict[int, dict[RegionName, float]] = {}
        for table_so_far in overlap_steps(result, group):
            table = table_so_far
            yield
        self._fill_overlap(table)

    def _fill_overlap(self, table: Mapping[int, Mapping[RegionName, float]]) -> None:
        rows = [[f"{by_region[name]:.3f}" for name in REGIONS] for by_region in table.values()]
        fill_table(self._ui.overlapTable, rows, [str(number) for number in table])
        for widget in (self._ui.overlapHeading, self._ui.overlapTable):
            widget.setVisible(bool(rows))

    def _end_description(self, error: Exception | None) -> None:
        if error is not None:
            self._say(sentence(error))

    def forget(self) -> None:
        """Describe the overlays again at the next `show`: the segments have changed."""
        self._described = None

    def abandon(self) -> None:
        """Stop the background work and leave the grid, whose overlays may be about to go."""
        self._describing.abandon()
        self._creating_views.abandon()
        self._ui.gridButton.setChecked(False)
        self._rendered = None
        show_legend(None)  # its color table may go first

    def _set_colors(self) -> None:
        result = self._result()
        if result is not None:
            recolor(result, self.group, self._ui.overlayColorBox.currentNode())
            self._described = None
            self._describe()

    def _toggle_grid(self) -> None:
        self._creating_views.abandon()
        if self._ui.gridButton.checked:
            self._fill_grid()
        elif self._layout_before is not None:
            leave_grid(self._layout_before)
            self._layout_before = None
        if self._overlays():
            self._show_legend()

    def _end_creation(self, error: Exception | None) -> None:
        if error is None:
            self._fill_grid()
        else:
            self._say(sentence(error))

    def _fill_grid(self) -> None:
        result = self._result()
        overlays = self._overlays()
        if result is None or result.reference is None or not overlays:
            return
        if not has_views(max(overlays)):
            self._creating_views.start(create_view_steps(max(overlays)))
            return
        before = show_grid(result, overlays, self._parameters().overlayOpacity)
        if self._layout_before is None and not is_grid(before):
            self._layout_before = before

    def _show_in_3d(self) -> None:
        """Display the chosen overlay as volume rendering if that is wanted, and remove an earlier one."""
        wanted = self._ui.volumeRenderingButton.checked
        chosen = self._overlays().get(self._parameters().overlayNumber) if wanted else None
        if self._rendered is not None and self._rendered is not chosen and self._rendered.GetScene() is not None:
            show_in_3d(self._rendered, False)
        if chosen is not None:
            show_in_3d(chosen, True)
        self._rendered = chosen
