"""Section "Data" of the panel: the patients and the findings of their check."""

import os
from collections.abc import Callable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _
from tokenunet.core.events import ProgressEvent, ResultEvent
from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.process.worker import WorkerError, WorkerProcess, run_command

from TokenUNetTrainingLib.panels.patient_groups import PatientGroups

if TYPE_CHECKING:
    from pathlib import Path

    from tokenunet.training.request import TrainingRequest

_MOST_FINDINGS = 12
"""Displayed findings; `tokenunet dataset check` lists them all."""


class DataPanel:
    """Section that checks the patients in a worker process.

    Args:
        ui: Widgets of the .ui file.
        request: Function that returns the training request of the form; None while there is no scene.
        installation: Rows that install the packages the check needs.
    """

    def __init__(
        self, ui: Any, request: "Callable[[], TrainingRequest | None]", installation: InstallationPanel
    ) -> None:
        self._ui = ui
        self._request = request
        self._installation = installation
        self._checked: tuple[Path | None, str | None] = (None, None)
        self._report: dict[str, Any] | None = None
        self._message = ""
        self._steps = BackgroundSteps(self.show, self._end)
        self.start_worker: Callable[..., WorkerProcess] = WorkerProcess
        self._groups = PatientGroups(ui.groupsLabel)
        ui.checkButton.clicked.connect(lambda *_: self.check())

    @property
    def running(self) -> bool:
        """Whether a check is running."""
        return self._steps.running

    def check(self) -> None:
        """Start a check, or end the running one."""
        request = self._request()
        if self.running:
            self.abandon()
        elif request is not None and request.data is not None and self._installation.install():
            self._checked, self._report = (request.data, request.labels), None
            self._message = _("Reading the patients")
            labels = ["--labels", request.labels] if request.labels else []
            self._steps.start(self._check(["dataset", "check", str(request.data), *labels]))
        self.show()

    def abandon(self) -> None:
        """End the check at once."""
        self._message = ""
        self._steps.abandon()

    def close(self) -> None:
        """End all work at once."""
        self.abandon()
        self._groups.abandon()

    def _check(self, command: list[str]) -> Iterator[None]:
        ended_unexpectedly = _("The check ended unexpectedly.")
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
            if self._report is None:  # the command fails after its report if patients have errors
                raise
        if self._report is None:
            raise WorkerError(ended_unexpectedly)

    def _end(self, error: Exception | None) -> None:
        self._message = "" if error is None else sentence(error)
        self.show()

    def show(self) -> None:
        """Update all that is displayed."""
        request = self._request()
        data = None if request is None else request.data
        self._ui.checkButton.setEnabled(self.running or data is not None)
        self._ui.checkButton.setText(_("Stop checking") if self.running else _("Check patients"))
        self._ui.checkButton.setToolTip(
            _("Read all files and list what would stop or spoil a training.")
            if data is not None
            else _("Choose the folder with the patients first.")
        )
        checked = request is not None and (request.data, request.labels) == self._checked
        report = self._report if checked and not self.running else None
        message = self._message if report is None else summary(report)
        self._ui.checkLabel.setText(message)
        self._ui.checkLabel.setVisible(bool(message))
        if not self._installation.missing:
            self._groups.look_at(data)
        findings = report["findings"] if report else []
        self._ui.findingsTable.setVisible(bool(findings))
        rows = [finding_row(finding, data) for finding in findings[:_MOST_FINDINGS]]
        fill_table(self._ui.findingsTable, rows, widest=1)
        for row, finding in enumerate(findings[:_MOST_FINDINGS]):
            self._ui.findingsTable.item(row, 1).setToolTip(escape(finding["message"]))


def finding_row(finding: dict[str, Any], data: "Path | None") -> list[str]:
    """Return the cells of a finding: case, and sentence with a sign for errors or warnings.

    Paths are relative to the patients' folder.
    """
    sign = "✘ " if finding["severity"] == "error" else "⚠ "
    return [finding["case"] or _("all"), sign + finding["message"].replace(f"{data}{os.sep}", "")]


def summary(report: dict[str, Any]) -> str:
    """Summarize the findings of the check in a sentence."""
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
