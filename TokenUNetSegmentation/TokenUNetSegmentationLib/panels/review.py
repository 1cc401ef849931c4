"""Section "Review candidates" of the panel: regions of high attention that were not segmented."""

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from tokenunet.review import Basis

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.results import MissingNodeError, PatientResult
from TokenUNetSegmentationLib.scene.review import (
    CandidateState,
    ListedCandidate,
    accept_candidate,
    dismiss_candidate,
    find_candidates,
    jump_to_candidate,
    listed_candidates,
    review_basis,
    show_open_candidates,
)

_WIDE_COLUMNS = (2, 3, 4)


class ReviewPanel:
    """Section that lists the review candidates of one result.

    Args:
        ui: Widgets of the .ui file.
        result: Function that returns the selected result, or None.
    """

    def __init__(self, ui: Any, result: Callable[[], PatientResult | None]) -> None:
        self._ui = ui
        self._result = result
        self._looking = BackgroundSteps(lambda: None, self._end_looking)
        self._candidates: list[ListedCandidate] = []
        self._showing = False
        ui.reviewTable.setColumnCount(5)
        ui.reviewTable.setHorizontalHeaderLabels(["#", _("ml"), _("Peak"), _("Maps"), _("State")])
        ui.reviewTable.horizontalHeaderItem(2).setToolTip(
            _("Highest attention in the candidate, as a multiple of the median attention in the tumor.")
        )
        ui.reviewButton.clicked.connect(lambda *_: self._look())
        ui.reviewTable.itemSelectionChanged.connect(self._on_selection)
        ui.reviewJumpButton.clicked.connect(lambda *_: self._jump())
        ui.reviewAcceptButton.clicked.connect(lambda *_: self._decide(accept_candidate))
        ui.reviewDismissButton.clicked.connect(lambda *_: self._decide(self._dismiss_or_restore))

    def show(self) -> None:
        """Update all that is displayed."""
        result = self._result()
        chosen = self._chosen()
        self._candidates = [] if result is None else listed_candidates(result)
        rows = [
            (
                str(candidate.number),
                f"{candidate.volume_ml:.1f}",
                _("{peak:.1f}× tumor").format(peak=candidate.peak),  # noqa: RUF001
                _numbers(candidate.maps),
                _state_text(candidate.state),
            )
            for candidate in self._candidates
        ]
        self._showing = True
        try:
            fill_table(self._ui.reviewTable, rows)
            for column in _WIDE_COLUMNS:
                self._ui.reviewTable.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
            identifiers = [candidate.identifier for candidate in self._candidates]
            if chosen is not None and chosen.identifier in identifiers:
                self._ui.reviewTable.selectRow(identifiers.index(chosen.identifier))
            else:
                self._ui.reviewTable.clearSelection()
        finally:
            self._showing = False
        self._ui.reviewTable.setVisible(bool(rows))
        if result is not None:
            show_open_candidates(result)  # a segment may have been deleted in the meantime
        self._say("" if result is None else _summary(result, len(rows)))
        self._enable(result)

    def abandon(self) -> None:
        """Stop the background work."""
        self._looking.abandon()

    def _enable(self, result: PatientResult | None) -> None:
        reason = self._why_not_look(result)
        self._ui.reviewButton.setEnabled(not reason)
        self._ui.reviewButton.setToolTip(
            reason or _("Compare the attention maps with the segmentation as it is now; takes a few seconds.")
        )
        candidate = self._chosen()
        for button in (self._ui.reviewJumpButton, self._ui.reviewAcceptButton, self._ui.reviewDismissButton):
            button.setEnabled(candidate is not None)
        self._ui.reviewAcceptButton.setEnabled(candidate is not None and candidate.state is not CandidateState.ACCEPTED)
        self._ui.reviewDismissButton.setEnabled(
            candidate is not None and candidate.state is not CandidateState.ACCEPTED
        )
        dismissed = candidate is not None and candidate.state is CandidateState.DISMISSED
        self._ui.reviewDismissButton.setText(_("Restore") if dismissed else _("Dismiss"))
        choose = _("Select a candidate in the list first.")
        accepted = _("It is a segment already; delete the segment to undo that.")
        self._ui.reviewJumpButton.setToolTip(
            choose if candidate is None else _("Move the slice views to this candidate.")
        )
        for button, purpose in (
            (self._ui.reviewAcceptButton, _("Add this candidate to the segmentation, as a segment of its own.")),
            (self._ui.reviewDismissButton, _("Mark this candidate as no tumor, or undo that.")),
        ):
            is_segment = candidate is not None and candidate.state is CandidateState.ACCEPTED
            button.setToolTip(choose if candidate is None else accepted if is_segment else purpose)

    def _why_not_look(self, result: PatientResult | None) -> str:
        if result is None:
            return _("Segment a patient first.")
        if self._looking.running:
            return _("Comparing the attention maps with the segmentation.")
        if result.reference is None:
            return _("The reference volume is no longer in the scene.")
        if not result.has_attention_maps:
            return _("This result was made without attention maps.")
        return ""

    def _chosen(self) -> ListedCandidate | None:
        row = self._ui.reviewTable.currentRow()
        selected = bool(self._ui.reviewTable.selectedItems())
        return self._candidates[row] if selected and 0 <= row < len(self._candidates) else None

    def _look(self) -> None:
        result = self._result()
        if result is not None and not self._why_not_look(result):
            self._looking.start(find_candidates(result))
            self._enable(result)

    def _end_looking(self, error: Exception | None) -> None:
        self.show()
        if error is not None:
            self._say(sentence(error))

    def _on_selection(self) -> None:
        if not self._showing:
            self._enable(self._result())
            self._jump()

    def _jump(self) -> None:
        candidate = self._chosen()
        if candidate is not None:
            jump_to_candidate(candidate)

    def _decide(self, action: Callable[[PatientResult, ListedCandidate], None]) -> None:
        result, candidate = self._result(), self._chosen()
        if result is None or candidate is None:
            return
        try:
            action(result, candidate)
        except MissingNodeError as error:
            self.show()
            self._say(sentence(error))
        else:
            self.show()

    def _dismiss_or_restore(self, result: PatientResult, candidate: ListedCandidate) -> None:
        dismiss_candidate(result, candidate, candidate.state is not CandidateState.DISMISSED)

    def _say(self, text: str) -> None:
        self._ui.reviewLabel.setText(text)
        self._ui.reviewLabel.setVisible(bool(text))


def _numbers(maps: str) -> str:
    """Return names of maps for a narrow column: L for TokenLearner, F for TokenFuser."""
    return maps.replace("TokenLearner ", "L").replace("TokenFuser ", "F").replace(",", "")


def _state_text(state: CandidateState) -> str:
    return {
        CandidateState.OPEN: _("open"),
        CandidateState.ACCEPTED: _("segment"),
        CandidateState.DISMISSED: _("dismissed"),
    }[state]


def _summary(result: PatientResult, candidates: int) -> str:
    known = review_basis(result)
    if known is None:
        return ""
    basis, maps = known
    if basis is Basis.NONE:
        return _(
            "Unknown: no attention map is tumor-selective, or too little is segmented to decide. "
            "This does not mean that nothing was missed; inspect the attention maps themselves."
        )
    source = (
        _("Tumor-selective in this patient: {maps}.")
        if basis is Basis.PATIENT
        else _("Almost nothing is segmented. Tumor-selective in synthetic patients: {maps}.")
    ).format(maps=escape(maps))
    return (
        source
        if candidates
        else source + " " + _("They are not high anywhere else. Small lesions can still be missed.")
    )
