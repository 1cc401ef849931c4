"""The panel's part "Inputs": four selectors that fill themselves, each with a line about its volume."""

from collections.abc import Callable
from html import escape
from itertools import pairwise
from typing import Any

import slicer
from slicer.i18n import tr as _
from tokenunet.core.sequences import SEQUENCES, SequenceName

from TokenUNetSegmentationLib.logic.inputs import (
    candidates,
    check_inputs,
    describe,
    dicom_value_from_database,
    sequences_by_looks,
    sequences_by_name,
    suggest_inputs,
)


class InputsPanel:
    """Keeps the selectors' volumes and says what they are.

    Args:
        ui: the widgets of the .ui file.
        parameters: gives the module's parameter node, or None while there is no scene.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any]) -> None:
        self._ui = ui
        self._parameters = parameters
        self._dicom_value = dicom_value_from_database
        self._names: dict[SequenceName, SequenceName] = {}
        self._looks: dict[SequenceName, SequenceName] = {}
        self._looked_at: tuple[object, ...] = ()
        ui.findButton.clicked.connect(lambda *_: self.fill(keep=False))
        for sequence, following in pairwise(SEQUENCES):
            button = getattr(ui, f"swap{sequence}")
            button.clicked.connect(lambda *_, pair=(sequence, following): self.swap(*pair))
        for sequence in SEQUENCES:
            self._status(sequence).linkActivated.connect(lambda link: self.swap(*link.split(":")))

    def _status(self, sequence: SequenceName) -> Any:
        return getattr(self._ui, f"status{sequence}")

    def inputs(self) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]:
        """The selected volumes."""
        parameters = self._parameters()
        return {sequence: getattr(parameters, f"input{sequence}") for sequence in SEQUENCES}

    def problems(self) -> dict[SequenceName, str]:
        """What stands against segmenting, by sequence."""
        return check_inputs(self.inputs())

    def fill(self, keep: bool = True) -> None:
        """Selects what the names and DICOM tags of the scene's volumes suggest.

        Args:
            keep: leave selected volumes alone, and complete them only with others of the same patient.
        """
        selected = {sequence: node for sequence, node in self.inputs().items() if node is not None}
        suggested = suggest_inputs(candidates(), self._dicom_value)
        if keep and any(suggested.get(sequence) is not node for sequence, node in selected.items()):
            return
        self._select(suggested)

    def swap(self, one: SequenceName, other: SequenceName) -> None:
        """Exchanges the volumes of two sequences."""
        inputs = self.inputs()
        self._select({one: inputs[other], other: inputs[one]})

    def _select(self, volumes: dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]) -> None:
        parameters = self._parameters()
        with slicer.util.NodeModify(parameters):
            for sequence, volume in volumes.items():
                setattr(parameters, f"input{sequence}", volume)

    def show(self, running: bool) -> None:
        """Brings all that is seen up to date; while a run goes on its inputs stay."""
        inputs = self.inputs()
        problems = check_inputs(inputs)
        self._look_at(inputs)
        for sequence, volume in inputs.items():
            getattr(self._ui, f"selector{sequence}").setEnabled(not running)
            line = self._line(
                sequence, volume, problems.get(sequence), self._names.get(sequence), self._looks.get(sequence)
            )
            self._status(sequence).setText(line)
            self._status(sequence).setVisible(bool(line))
        for sequence in SEQUENCES[:-1]:
            getattr(self._ui, f"swap{sequence}").setEnabled(not running)
        self._ui.findButton.setEnabled(not running)

    def _look_at(self, inputs: dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]) -> None:
        """Reads names, tags and looks only when a volume, its name or its voxels have changed: sliders ask, too."""
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
        if state != self._looked_at:
            self._looked_at = state
            self._names = sequences_by_name(inputs, self._dicom_value)
            self._looks = sequences_by_looks(inputs)

    def _line(self, place: SequenceName, volume: Any, problem: str | None, name: str | None, look: str | None) -> str:
        """What a volume is, or the first thing that is wrong with it."""
        if volume is None:
            return ""
        if problem:
            return f"<b>⚠</b> {escape(problem)}"
        if name not in (None, place):
            return self._offer_swap(_("The name says {other}.").format(other=name), place, name)
        if look not in (None, place):
            return self._offer_swap(_("This looks like {other}.").format(other=look), place, look)
        unnamed = "" if name else _("; its name does not say {place}").format(place=place)
        return escape(describe(volume) + unnamed)

    def _offer_swap(self, warning: str, place: SequenceName, other: str | None) -> str:
        swap = _("Swap with {other}").format(other=other)
        return f'<b>⚠</b> {warning} <a href="{place}:{other}">{swap}</a>'
