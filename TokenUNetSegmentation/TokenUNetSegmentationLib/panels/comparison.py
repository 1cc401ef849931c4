"""Section "Compare results" of the panel: the selected result next to another one of the same patient."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from slicer.i18n import tr as _
from tokenunet.core.regions import REGION_TITLES
from tokenunet.evaluation.compare import DIFFERENCE, Comparison

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.comparison import (
    comparison_steps,
    leave_side_by_side,
    other_results,
    result_title,
    show_side_by_side,
)
from TokenUNetSegmentationLib.scene.results import PatientResult


class ComparisonPanel:
    """Section that compares the selected result with another one of the same patient.

    Args:
        ui: Widgets of the .ui file.
        parameters: Function that returns the module's parameter node, or None while there is no scene.
        result: Function that returns the selected result, or None.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any], result: Callable[[], PatientResult | None]) -> None:
        self._ui = ui
        self._parameters = parameters
        self._result = result
        self._others: list[PatientResult] = []
        self._titles: list[str] = []
        self._comparing = BackgroundSteps(lambda: None, self._end_comparing)
        self._pair: tuple[PatientResult, PatientResult] | None = None
        self._comparison: Comparison | None = None
        self._message = ""
        self._side_by_side: tuple[PatientResult, PatientResult, int] | None = None
        ui.comparisonTable.setColumnCount(4)
        ui.comparisonTable.setHorizontalHeaderLabels([_("Region"), _("Dice"), _("A (ml)"), _("B (ml)")])
        ui.comparisonBox.currentIndexChanged.connect(lambda *_: self.show())
        ui.compareButton.clicked.connect(lambda *_: self._compare())
        ui.sideBySideButton.toggled.connect(lambda *_: self._toggle_side_by_side())
        ui.gridButton.toggled.connect(lambda *_: self._leave_for_grid())

    def show(self) -> None:
        """Update all that is displayed."""
        self._list_others()
        pair = self._chosen_pair()
        if pair != self._pair:
            self._comparing.abandon()
            self._pair, self._comparison, self._message = pair, None, ""
            self._ui.sideBySideButton.setChecked(False)
        reason = self._why_not_compare()
        for button, purpose in (
            (self._ui.compareButton, _("Measure Dice and volumes, and display where both results differ.")),
            (self._ui.sideBySideButton, _("Linked slice views, one result each; press again to return.")),
        ):
            button.setEnabled(not reason)
            button.setToolTip(reason or purpose)
        self._show_comparison()

    def abandon(self) -> None:
        """Stop the background work, and leave the view of both results."""
        self._comparing.abandon()
        self._ui.sideBySideButton.setChecked(False)

    def _list_others(self) -> None:
        result = self._result()
        others = [] if result is None else other_results(result)
        titles = [result_title(other) for other in others]
        if (others, titles) != (self._others, self._titles):
            chosen = self._chosen()
            was_blocked = self._ui.comparisonBox.blockSignals(True)
            self._ui.comparisonBox.clear()
            self._ui.comparisonBox.addItems(titles)
            self._ui.comparisonBox.setCurrentIndex(others.index(chosen) if chosen in others else len(others) - 1)
            self._ui.comparisonBox.blockSignals(was_blocked)
            self._others, self._titles = others, titles
        self._ui.comparisonBox.setEnabled(bool(others))

    def _chosen(self) -> PatientResult | None:
        index = self._ui.comparisonBox.currentIndex
        return self._others[index] if 0 <= index < len(self._others) else None

    def _chosen_pair(self) -> tuple[PatientResult, PatientResult] | None:
        result, other = self._result(), self._chosen()
        return None if result is None or other is None else (result, other)

    def _why_not_compare(self) -> str:
        if self._pair is None:
            return _("Segment the same patient again, with another model or other settings.")
        if any(result.reference is None for result in self._pair):
            return _("The reference volume is no longer in the scene.")
        return _("Comparing the results.") if self._comparing.running else ""

    def _compare(self) -> None:
        if self._pair is not None and not self._why_not_compare():
            self._comparison, self._message = None, ""
            self._comparing.start(self._compare_pair(*self._pair))
            self.show()

    def _compare_pair(self, first: PatientResult, second: PatientResult) -> Iterator[None]:
        for comparison in comparison_steps(first, second):
            self._comparison = comparison
            yield

    def _end_comparing(self, error: Exception | None) -> None:
        if error is None:
            parameters = self._parameters()
            parameters.overlayGroup, parameters.overlayNumber = DIFFERENCE.name, 1
        else:
            self._message = sentence(error)
        self.show()

    def _show_comparison(self) -> None:
        comparison = self._comparison
        rows = []
        message = self._message
        if comparison is not None:
            for name, title in REGION_TITLES.items():
                if name in comparison.regions:
                    region = comparison.regions[name]
                    rows.append([title, f"{region.dice:.3f}", *(f"{ml:.1f}" for ml in region.volumes_ml)])
                else:
                    rows.append([title, _("not marked"), "", ""])
            message = _("A: {a}<br>B: {b}<br>Red: marked in A only. Blue: marked in B only.").format(
                a=escape(comparison.models[0]), b=escape(comparison.models[1])
            )
        self._ui.comparisonTable.setVisible(bool(rows))
        fill_table(self._ui.comparisonTable, rows, widest=0)
        self._ui.comparisonLabel.setText(message)
        self._ui.comparisonLabel.setVisible(bool(message))

    def _toggle_side_by_side(self) -> None:
        if self._ui.sideBySideButton.checked and self._pair is not None:
            self._ui.gridButton.setChecked(False)
            self._side_by_side = (*self._pair, show_side_by_side(*self._pair))
        elif self._side_by_side is not None:
            leave_side_by_side(*self._side_by_side)
            self._side_by_side = None

    def _leave_for_grid(self) -> None:
        """Leave the view of both results when all overlays are displayed in a grid."""
        if self._ui.gridButton.checked:
            self._ui.sideBySideButton.setChecked(False)
