"""The panel's part "Data": the patients, and what the check says of them."""

import os
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from tokenunet.core.events import ProgressEvent, ResultEvent
from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.process.worker import WorkerError, WorkerProcess, run_command

_MOST_FINDINGS = 12
"""Shown; `tokenunet dataset check` lists them all."""


class DataPanel:
    """Checks the patients in a process of its own.

    Args:
        ui: the widgets of the .ui file.
        data: gives the patients' folder, or None.
        installation: installs what the check needs.
    """

    def __init__(self, ui: Any, data: Callable[[], Path | None], installation: InstallationPanel) -> None:
        self._ui = ui
        self._data = data
        self._installation = installation
        self._checked: Path | None = None
        self._report: dict[str, Any] | None = None
        self._message = ""
        self._steps = BackgroundSteps(self.show, self._end)
        self.start_worker: Callable[..., WorkerProcess] = WorkerProcess
        ui.checkButton.clicked.connect(lambda *_: self.check())

    @property
    def running(self) -> bool:
        """Whether a check goes on."""
        return self._steps.running

    def check(self) -> None:
        """Begins a check, or ends the one that goes on."""
        if self.running:
            self.abandon()
        elif (data := self._data()) is not None and self._installation.install():
            self._checked, self._report, self._message = data, None, _("Reading the patients…")
            self._steps.start(self._check(data))
        self.show()

    def abandon(self) -> None:
        """Ends a check at once."""
        self._message = ""
        self._steps.abandon()

    def _check(self, data: Path) -> Iterator[None]:
        command, ended_unexpectedly = ["dataset", "check", str(data)], _("The check ended unexpectedly.")
        try:
            for events in run_command(command, self.start_worker, ended_unexpectedly):
                for event in events:
                    if isinstance(event, ProgressEvent):
                        left = "" if event.eta_s is None else _(", about {s:.0f} s left").format(s=event.eta_s)
                        self._message = _("Reading the patients: {share:.0%}").format(share=event.fraction) + left
                    elif isinstance(event, ResultEvent):
                        self._report = event.report
                yield
        except WorkerError:
            if self._report is None:  # else it is the report that patients with errors make the command fail
                raise
        if self._report is None:
            raise WorkerError(ended_unexpectedly)

    def _end(self, error: Exception | None) -> None:
        self._message = "" if error is None else sentence(error)
        self.show()

    def show(self) -> None:
        """Brings all that is seen up to date."""
        data = self._data()
        self._ui.checkButton.setEnabled(self.running or data is not None)
        self._ui.checkButton.setText(_("Stop checking") if self.running else _("Check patients"))
        self._ui.checkButton.setToolTip(
            _("Reads all files and lists what training would stumble over.")
            if data is not None
            else _("Choose the folder with the patients first.")
        )
        report = self._report if data == self._checked and not self.running else None
        message = self._message if report is None else summary(report)
        self._ui.checkLabel.setText(message)
        self._ui.checkLabel.setVisible(bool(message))
        findings = report["findings"] if report else []
        self._ui.findingsTable.setVisible(bool(findings))
        rows = [finding_row(finding, data) for finding in findings[:_MOST_FINDINGS]]
        fill_table(self._ui.findingsTable, rows, widest=1)
        for row, finding in enumerate(findings[:_MOST_FINDINGS]):
            self._ui.findingsTable.item(row, 1).setToolTip(escape(finding["message"]))


def finding_row(finding: dict[str, Any], data: Path | None) -> list[str]:
    """A finding's cells: case and sentence, with a sign before those that keep a training from beginning.

    Paths are shown from the patients' folder on.
    """
    sign = "✘ " if finding["severity"] == "error" else "⚠ "
    return [finding["case"] or _("all"), sign + finding["message"].replace(f"{data}{os.sep}", "")]


def summary(report: dict[str, Any]) -> str:
    """What the check found, in a sentence."""
    errors = sum(finding["severity"] == "error" for finding in report["findings"])
    more = len(report["findings"]) - _MOST_FINDINGS
    text = _("{layout}: {patients} patients, {cases} cases; {errors} errors, {warnings} warnings.").format(
        layout=escape(report["layout"]),
        patients=report["patients"],
        cases=len(report["cases"]),
        errors=errors,
        warnings=len(report["findings"]) - errors,
    )
    if more > 0:
        text += " " + _("{more} more findings are not shown.").format(more=more)
    return text
