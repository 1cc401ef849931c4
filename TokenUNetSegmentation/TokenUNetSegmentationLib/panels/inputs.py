"""Section "Inputs" of the panel: a selector for each of the model's channels, with a mark about its volume."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.sequences import SequenceName

from TokenUNetSegmentationLib.logic.input_checks import check_inputs, missing_text
from TokenUNetSegmentationLib.logic.inputs import (
    candidates,
    dicom_value_from_database,
    input_node,
    reference_of,
    sequences_by_image,
    sequences_by_name,
    set_input_nodes,
    suggest_inputs,
)
from TokenUNetSegmentationLib.logic.volumes import describe


@dataclass(frozen=True)
class ChannelRow:
    """Widgets of one channel.

    Attributes:
        label: Name of the channel.
        selector: Selector of its volume.
        mark: Whether its volume is fine; the tooltip describes it.
        swap: Button that swaps its volume with the next channel's; None in the last row.
        status: Warning about its volume, in a line of its own; hidden if there is none.
    """

    label: Any
    selector: Any
    mark: Any
    swap: Any
    status: Any


class InputsPanel:
    """Section with a selector for each channel of the model, filled in automatically.

    Args:
        ui: Widgets of the .ui file.
        parameters: Function that returns the module's parameter node, or None while there is no scene.
        on_changed: Callback without arguments, for changes that other parts show.

    Attributes:
        channels: Channels of the chosen model.
        rows: Widgets of each channel.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any], on_changed: Callable[[], None]) -> None:
        self._ui = ui
        self._parameters = parameters
        self._on_changed = on_changed
        self._dicom_value = dicom_value_from_database
        self._names: dict[SequenceName, SequenceName] = {}
        self._images: dict[SequenceName, SequenceName] = {}
        self._identified: tuple[object, ...] = ()
        self._showing = False
        self.rows: dict[SequenceName, ChannelRow] = {}
        self.channels = FOUR_SEQUENCES
        self._make_rows()
        ui.findButton.clicked.connect(lambda *_: self.fill(keep=False))
        ui.referenceBox.currentIndexChanged.connect(lambda *_: self._store_reference())

    def set_channels(self, channels: ChannelSet) -> None:
        """Show selectors of another model's channels; what was selected for those of the same name stays."""
        if channels == self.channels:
            return
        names_before, self.channels = self.channels.names, channels
        if channels.names != names_before:
            self._make_rows()
            if self._parameters() is not None:
                self.fill()
        self._on_changed()

    def _make_rows(self) -> None:
        layout = self._ui.channelsContents.layout()
        for row in self.rows.values():
            for widget in (row.label, row.selector, row.mark, row.swap, row.status):
                if widget is not None:
                    layout.removeWidget(widget)
                    widget.hide()
                    widget.deleteLater()
        names = self.channels.names
        self.rows = {}
        for number, name in enumerate(names):
            following = names[number + 1] if number + 1 < len(names) else None
            row = self.rows[name] = self._make_row(name, following)
            layout.addWidget(row.label, 2 * number, 0)
            layout.addWidget(row.selector, 2 * number, 1)
            layout.addWidget(row.mark, 2 * number, 2)
            layout.addWidget(self._ui.findButton if row.swap is None else row.swap, 2 * number, 3)
            layout.addWidget(row.status, 2 * number + 1, 1, 1, 3)
        self._showing = True
        self._ui.referenceBox.clear()
        self._ui.referenceBox.addItems(list(names))
        self._showing = False

    def _make_row(self, name: SequenceName, following: SequenceName | None) -> ChannelRow:
        label = qt.QLabel(f"{name}:")
        label.setToolTip(_description(name))
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = selector.removeEnabled = False
        selector.setToolTip(_("The {name} volume: {what}.").format(name=name, what=_description(name)))
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda *_: self._store(name))
        mark = qt.QLabel()
        swap = None
        if following is not None:
            swap = qt.QToolButton()
            swap.setText("\N{UPWARDS ARROW LEFTWARDS OF DOWNWARDS ARROW}")
            swap.setToolTip(_("Swap {one} and {other}.").format(one=name, other=following))
            swap.clicked.connect(lambda *_: self.swap(name, following))
        status = qt.QLabel()
        status.setWordWrap(True)
        status.linkActivated.connect(lambda link: self.swap(*link.split(":")))
        for widget, kind in (
            (label, "label"),
            (selector, "selector"),
            (mark, "mark"),
            (swap, "swap"),
            (status, "status"),
        ):
            if widget is not None:
                widget.setObjectName(f"{kind}{name}")
        return ChannelRow(label, selector, mark, swap, status)

    def _store(self, name: SequenceName) -> None:
        parameters = self._parameters()
        if not self._showing and parameters is not None and name in self.rows:
            set_input_nodes(parameters, {name: self.rows[name].selector.currentNode()})

    def _store_reference(self) -> None:
        parameters = self._parameters()
        if not self._showing and parameters is not None:
            parameters.reference = self._ui.referenceBox.currentText

    def inputs(self) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]:
        """Return the selected volume of each channel."""
        parameters = self._parameters()
        return {name: input_node(parameters, name) for name in self.channels.names}

    def reference(self) -> SequenceName:
        """Return the channel on whose grid the result will be; the first one if nothing is selected."""
        given = [name for name, volume in self.inputs().items() if volume is not None]
        return reference_of(self._parameters().reference, given or self.channels.names)

    def problems(self) -> dict[SequenceName, str]:
        """Return what prevents a segmentation, by channel."""
        return check_inputs(self.inputs(), self.channels)

    def fill(self, keep: bool = True) -> None:
        """Select what the names and DICOM tags of the scene's volumes suggest.

        Args:
            keep: Whether to leave selected volumes alone, and complete them only with others of the same patient.
        """
        selected = {name: node for name, node in self.inputs().items() if node is not None}
        suggested = suggest_inputs(candidates(), self._dicom_value, self.channels)
        if keep and any(suggested.get(name) is not node for name, node in selected.items()):
            return
        set_input_nodes(self._parameters(), suggested)

    def swap(self, one: SequenceName, other: SequenceName) -> None:
        """Exchange the volumes of two channels."""
        inputs = self.inputs()
        set_input_nodes(self._parameters(), {one: inputs[other], other: inputs[one]})

    def show(self, running: bool) -> None:
        """Update all that is displayed.

        Args:
            running: Whether a segmentation is running, whose inputs cannot be changed.
        """
        inputs = self.inputs()
        problems = check_inputs(inputs, self.channels)
        missing = missing_text(inputs, self.channels)
        first_missing = next((name for name, volume in inputs.items() if volume is None), None)
        self._identify(inputs)
        self._showing = True
        try:
            for name, row in self.rows.items():
                row.selector.setCurrentNode(inputs[name])
            self._ui.referenceBox.setCurrentIndex(self.channels.names.index(self.reference()))
        finally:
            self._showing = False
        for name, row in self.rows.items():
            volume = inputs[name]
            if volume is None:  # the cost of all missing ones together is said once
                line = escape(missing) if name == first_missing else ""
            else:
                line = self._warning(name, problems.get(name))
            row.status.setText(line)
            row.status.setVisible(bool(line))
            row.mark.setText("" if volume is None else "⚠" if line else "✓" if name in self._names else "?")
            fine = volume is not None and name not in problems
            row.mark.setToolTip(self._volume_text(name, volume) if fine else problems.get(name, ""))
            row.selector.setEnabled(not running)
            if row.swap is not None:
                row.swap.setEnabled(not running)
        self._ui.findButton.setEnabled(not running)

    def _identify(self, inputs: dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]) -> None:
        """Identify the volumes again only if names, tags or voxels have changed: every slider calls this."""
        state = tuple(
            (
                place,
                v.GetID(),
                v.GetName(),
                v.GetAttribute("DICOM.instanceUIDs"),
                v.GetImageData() and v.GetImageData().GetMTime(),
            )
            for place, v in inputs.items()
            if v
        )
        if state != self._identified:
            self._identified = state
            self._names = sequences_by_name(inputs, self._dicom_value)
            self._images = sequences_by_image(inputs)

    def _volume_text(self, name: SequenceName, volume: slicer.vtkMRMLScalarVolumeNode) -> str:
        """Describe a volume, and note if its name does not tell the channel."""
        unnamed = "" if name in self._names else _("; its name does not say {place}").format(place=name)
        return describe(volume) + unnamed

    def _warning(self, place: SequenceName, problem: str | None) -> str:
        """Return the first thing that is wrong with a channel's volume as rich text; empty if nothing is."""
        if problem:
            return f"<b>⚠</b> {escape(problem)}"
        if (name := self._names.get(place, place)) != place:
            return _offer_swap(_("The name says {other}.").format(other=name), place, name)
        if (image := self._images.get(place, place)) != place:
            return _offer_swap(_("This looks like {other}.").format(other=image), place, image)
        return ""


def _offer_swap(warning: str, place: SequenceName, other: SequenceName) -> str:
    swap = _("Swap with {other}").format(other=other)
    return f'<b>⚠</b> {warning} <a href="{place}:{other}">{swap}</a>'


def _description(name: SequenceName) -> str:
    descriptions = {
        "T1": _("T1-weighted, without contrast agent"),
        "T1ce": _("T1-weighted, after contrast agent (gadolinium)"),
        "T2": _("T2-weighted"),
        "FLAIR": _("T2 FLAIR: fluid suppressed"),
    }
    return descriptions.get(name, _("named by the model"))
