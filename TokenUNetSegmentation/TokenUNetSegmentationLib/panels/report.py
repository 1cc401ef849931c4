"""Section "Report and archive" of the panel: page and PDF, DICOM objects, and their transfer to an archive."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import qt
import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError
from tokenunet.dicom_out.destination import CALLING_AE_TITLE, parse_destination
from tokenunet.io.files import file_name, write_bytes, write_text
from tokenunet.io.result_files import REPORT_PATIENT

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command
from TokenUNetSegmentationLib.scene.archive import can_save_dicom, save_steps, saved_files
from TokenUNetSegmentationLib.scene.result_folder import SCAN, write_result_steps
from TokenUNetSegmentationLib.scene.results import PatientResult

_ARCHIVE_SETTING, _CALLING_SETTING = "TokenUNet/Archive", "TokenUNet/CallingAETitle"
_FOR_REPORT = (Requirement("matplotlib>=3.9"),)
_FOR_SENDING = (Requirement("pynetdicom>=3.0"), Requirement("dicomweb-client>=0.59"))


class ReportPanel:
    """Section that hands the selected result on.

    Args:
        ui: Widgets of the .ui file.
        result: Function that returns the selected result, or None.
        install: Function that installs packages with the user's consent, and returns whether all are installed.
    """

    def __init__(
        self, ui: Any, result: Callable[[], PatientResult | None], install: Callable[[Sequence[Requirement]], bool]
    ) -> None:
        self._ui = ui
        self._result = result
        self._install = install
        self._reporting = BackgroundSteps(lambda: None, self._end_reporting)
        self._saving = BackgroundSteps(lambda: None, self._end_saving)
        self._sending = BackgroundSteps(lambda: None, self._end_sending)
        self.start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess
        settings = slicer.app.settings()
        ui.archiveEdit.setText(str(settings.value(_ARCHIVE_SETTING) or ""))
        ui.callingEdit.setText(str(settings.value(_CALLING_SETTING) or CALLING_AE_TITLE))
        ui.archiveEdit.editingFinished.connect(self._keep_settings)
        ui.callingEdit.editingFinished.connect(self._keep_settings)
        ui.archiveEdit.textChanged.connect(lambda *_: self.show())
        ui.reportPageButton.clicked.connect(self._when_asked(self._save_report))
        ui.saveDicomButton.clicked.connect(self._when_asked(self._save_dicom))
        ui.sendButton.clicked.connect(self._when_asked(self._send))

    def show(self) -> None:
        """Update all that is displayed."""
        result = self._result()
        has_reference = result is not None and result.reference is not None
        self._ui.reportPageButton.setEnabled(has_reference and not self._reporting.running)
        self._ui.saveDicomButton.setEnabled(False)
        self._ui.sendButton.setEnabled(False)
        if result is not None:
            saving = can_save_dicom(result)
            self._ui.saveDicomButton.setEnabled(saving.possible)
            self._ui.saveDicomButton.setToolTip(saving.reason)
            label = _("Cancel saving") if self._saving.running else _("Save to DICOM database")
            self._ui.saveDicomButton.setText(label)
            is_named, busy = bool(self._ui.archiveEdit.text.strip()), self._saving.running or self._sending.running
            self._ui.sendButton.setEnabled(is_named and bool(saved_files(result)) and not busy)
            self._ui.sendButton.setToolTip(
                _("Send the saved DICOM objects. Sending again makes no doubles.")
                if saved_files(result)
                else _("Save the result to the DICOM database first.")
            )

    def abandon(self) -> None:
        """Stop the report and saving, of which nothing is written then, and sending; saved objects stay."""
        self._reporting.abandon()
        self._saving.abandon()
        self._sending.abandon()

    def _when_asked(self, action: Callable[[PatientResult], object]) -> Callable[..., None]:
        def slot(*_arguments: object) -> None:
            result = self._result()
            if result is None:
                return
            try:
                action(result)
            except TokenUNetError as error:
                self._say(sentence(error))
            self.show()

        return slot

    def _say(self, text: str) -> None:
        self._ui.archiveLabel.setText(text)

    def _keep_settings(self) -> None:
        slicer.app.settings().setValue(_ARCHIVE_SETTING, self._ui.archiveEdit.text.strip())
        slicer.app.settings().setValue(_CALLING_SETTING, self._ui.callingEdit.text.strip())

    def _save_report(self, result: PatientResult) -> None:
        if not self._install(_FOR_REPORT):
            return
        suggestion = f"{file_name(result.segmentation.GetName())}.html"
        chosen = qt.QFileDialog.getSaveFileName(None, _("Save report"), suggestion, _("Page and PDF") + " (*.html)")
        if not chosen:
            return
        self._say(_("Drawing the report..."))
        self._reporting.start(self._report_steps(result, Path(chosen).with_suffix(".html")))

    def _report_steps(self, result: PatientResult, page: Path) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="tokenunet-report-") as temporary:
            folder = Path(temporary)
            yield from write_result_steps(result, folder)
            arguments = ["report", temporary, "--scan", str(folder / SCAN)]
            name = result.report.get(REPORT_PATIENT) or result.require_reference().GetName()
            arguments.append(f"--patient={name}")
            for _events in run_command(arguments, self.start_worker, _("The report ended unexpectedly.")):
                yield
            write_text(page, (folder / "report.html").read_text(encoding="utf-8"))
            write_bytes(page.with_suffix(".pdf"), (folder / "report.pdf").read_bytes())
        self._say(_("Saved {path}, and the PDF next to it.").format(path=escape(str(page))))

    def _end_reporting(self, error: Exception | None) -> None:
        if error is not None:
            self._say(sentence(error))
        self.show()

    def _save_dicom(self, result: PatientResult) -> None:
        if self._saving.running:
            self._saving.abandon()
            self._say(_("Stopped. Nothing was saved."))
        else:
            self._saving.start(self._save_steps(result))

    def _save_steps(self, result: PatientResult) -> Iterator[None]:
        for state in save_steps(result, self.start_worker):
            if isinstance(state, float):
                self._say(_("Making DICOM objects: {percent:.0f} %").format(percent=100 * state))
            else:
                self._say(_("Added {number} objects to the study in the DICOM database.").format(number=len(state)))
            yield

    def _end_saving(self, error: Exception | None) -> None:
        if error is not None:
            self._say(sentence(error))
        self.show()

    def _send(self, result: PatientResult) -> None:
        node = parse_destination(self._ui.archiveEdit.text, self._ui.callingEdit.text)
        if self._install(_FOR_SENDING):
            self._say(_("Sending to {archive}...").format(archive=escape(str(node))))
            self._sending.start(self._send_steps([str(file) for file in saved_files(result)]))

    def _send_steps(self, files: Sequence[str]) -> Iterator[None]:
        archive, calling = self._ui.archiveEdit.text.strip(), self._ui.callingEdit.text.strip()
        arguments = ["send", *files, "--to", archive, "--calling", calling]
        ended = _("Sending ended unexpectedly; send again.")
        for _events in run_command(arguments, self.start_worker, ended):
            yield

    def _end_sending(self, error: Exception | None) -> None:
        archive = escape(self._ui.archiveEdit.text.strip())
        self._say(_("{archive} has stored the objects.").format(archive=archive) if error is None else sentence(error))
        self.show()
