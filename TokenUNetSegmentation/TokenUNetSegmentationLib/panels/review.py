"""Section "Review" of the panel: how far to trust the result, and regions that may have been missed."""

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from tokenunet.core.regions import REGION_TITLES

from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.results import MissingNodeError, PatientResult
from TokenUNetSegmentationLib.scene.review import (
    CandidateState,
    ListedCandidate,
    accept_candidate,
    dismiss_candidate,
    jump_to_candidate,
    listed_candidates,
    reopen_candidate,
    show_open_candidates,
)

_WIDE_COLUMNS = (2, 3, 4)
_LIKELY, _POSSIBLE = 0.7, 0.4
"""Probabilities from which a candidate is called likely, and possible."""


class ReviewPanel:
    """Section with the expected quality and the review candidates of one result.

    Args:
        ui: Widgets of the .ui file.
        result: Function that returns the selected result, or None.
        on_regions: Callback after a decision has changed the regions.
    """

    def __init__(self, ui: Any, result: Callable[[], PatientResult | None], on_regions: Callable[[], None]) -> None:
        self._ui = ui
        self._result = result
        self._on_regions = on_regions
        self._candidates: list[ListedCandidate] = []
        self._showing = False
        ui.reviewTable.setColumnCount(5)
        ui.reviewTable.setHorizontalHeaderLabels(["#", _("ml"), _("Tumor"), _("Source"), _("State")])
        ui.reviewTable.itemSelectionChanged.connect(self._on_selection)
        ui.reviewJumpButton.clicked.connect(lambda *_: self._jump())
        ui.reviewAcceptButton.clicked.connect(lambda *_: self._decide(accept_candidate, CandidateState.ACCEPTED))
        ui.reviewDismissButton.clicked.connect(lambda *_: self._decide(dismiss_candidate, CandidateState.DISMISSED))

    def show(self) -> None:
        """Update all that is displayed."""
        result = self._result()
        chosen = self._chosen()
        self._candidates = [] if result is None else listed_candidates(result)
        rows = [
            (
                str(candidate.number),
                f"{candidate.volume_ml:.1f}",
                _probability_text(candidate.probability),
                ", ".join(_source_text(source) for source in candidate.sources),
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
            show_open_candidates(result)
        self._ui.reviewHeading.setText(_expectation(result))
        self._describe()
        self._enable()

    def _enable(self) -> None:
        candidate = self._chosen()
        choose = _("Select a candidate in the list first.")
        accepted, dismissed = (
            candidate is not None and candidate.state is state
            for state in (CandidateState.ACCEPTED, CandidateState.DISMISSED)
        )
        for button, text, purpose in (
            (self._ui.reviewJumpButton, _("Show"), _("Move the slice views to this candidate.")),
            (
                self._ui.reviewAcceptButton,
                _("Undo") if accepted else _("Accept"),
                _("Remove this candidate from the tumor again.")
                if accepted
                else _("Add this candidate to the whole tumor, whose volume is then measured again."),
            ),
            (
                self._ui.reviewDismissButton,
                _("Restore") if dismissed else _("Dismiss"),
                _("Mark this candidate as no tumor, or undo that."),
            ),
        ):
            button.setText(text)
            button.setEnabled(candidate is not None)
            button.setToolTip(choose if candidate is None else purpose)
        self._ui.reviewDismissButton.setEnabled(candidate is not None and not accepted)

    def _chosen(self) -> ListedCandidate | None:
        row = self._ui.reviewTable.currentRow()
        selected = bool(self._ui.reviewTable.selectedItems())
        return self._candidates[row] if selected and 0 <= row < len(self._candidates) else None

    def _on_selection(self) -> None:
        if not self._showing:
            self._enable()
            self._describe()
            self._jump()

    def _jump(self) -> None:
        candidate = self._chosen()
        if candidate is not None:
            jump_to_candidate(candidate)

    def _decide(self, decide: Callable[[PatientResult, ListedCandidate], None], state: CandidateState) -> None:
        """Decide about the selected candidate, or revoke that decision."""
        result, candidate = self._result(), self._chosen()
        if result is None or candidate is None:
            return
        try:
            (reopen_candidate if candidate.state is state else decide)(result, candidate)
        except MissingNodeError as error:
            self.show()
            self._say(sentence(error))
            return
        self.show()
        if state is CandidateState.ACCEPTED:
            self._on_regions()

    def _describe(self) -> None:
        """Describe the selected candidate or, without one, the list."""
        candidate = self._chosen()
        if candidate is not None:
            self._say(_description(candidate))
        else:
            result = self._result()
            self._say("" if result is None else _summary(result, len(self._candidates)))

    def _say(self, text: str) -> None:
        self._ui.reviewLabel.setText(text)
        self._ui.reviewLabel.setVisible(bool(text))


def _probability_text(probability: float) -> str:
    if probability != probability:  # NaN: a scene of version 0.1
        return _("unknown")
    word = _("likely") if probability >= _LIKELY else _("possible") if probability >= _POSSIBLE else _("unlikely")
    return f"{word}, {100 * probability:.0f} %"


def _source_text(source: str) -> str:
    return {"probe": _("encoder"), "probability": _("decoder"), "image": _("image")}.get(source, source)


def _state_text(state: CandidateState) -> str:
    return {
        CandidateState.OPEN: _("open"),
        CandidateState.ACCEPTED: _("accepted"),
        CandidateState.DISMISSED: _("dismissed"),
    }[state]


def _expectation(result: PatientResult | None) -> str:
    """Return the expected Dice and volumes of a result in words."""
    if result is None:
        return _("Segment a patient first.")
    report = result.report
    expected = report.get("expected_dice", {})
    if not expected:
        return _("How far to trust this result is not known: its model was not calibrated, or nothing is segmented.")
    intervals = report.get("volumes_interval_ml", {})
    lines = [
        _("{region}: expected Dice {value:.2f} ({low:.2f} to {high:.2f})").format(region=REGION_TITLES[name], **values)
        + (
            _(", {low:.1f} to {high:.1f} ml").format(low=intervals[name][0], high=intervals[name][1])
            if name in intervals
            else ""
        )
        for name, values in expected.items()
    ]
    basis = _("Nine of ten are in these ranges, calibrated on {patients}.").format(
        patients=report.get("review_calibrated_on", "")
    )
    return "<br>".join(escape(line) for line in (*lines, basis))


def _description(candidate: ListedCandidate) -> str:
    reasons = {
        "probe": _("The encoder sees tumor there."),
        "probability": _("The decoder finds it less likely than not, but not unlikely."),
        "image": _("It is bright, and unlike the other side of the brain."),
    }
    texts = [reasons[source] for source in candidate.sources if source in reasons]
    if candidate.token is not None and "probe" in candidate.sources:
        texts.append(_("Of the tokens, {number} adds most to that.").format(number=candidate.token))
    return " ".join(texts)


def _summary(result: PatientResult, candidates: int) -> str:
    if candidates:
        return _("Regions that are not segmented but may be tumor, the most probable first. This is no diagnosis.")
    if "review_candidates" not in result.report:
        return _("This result has no review candidates: its model has no probe. Segment again with another model.")
    return _("No other region is likely to be tumor. Small lesions can still be missed.")
