"""Section "Results" of the panel: Dice of the finished folds, the report, the model, and single cases."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.regions import REGIONS
from tokenunet.networks.registry import title_of
from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.tables import fill_table, fit_rows
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command

from TokenUNetTrainingLib.logic.run import ExperimentWatch
from TokenUNetTrainingLib.scene.validation_case import show_case

_MOST_CASES = 20


class ResultsPanel:
    """Section that displays the results of the finished folds.

    Args:
        ui: Widgets of the .ui file.
        watch: State of the experiment.
    """

    def __init__(self, ui: Any, watch: ExperimentWatch) -> None:
        self._ui = ui
        self._watch = watch
        self._shown: tuple[Path | None, float] = (None, 0.0)
        self._architectures: list[str] = []
        self._cases: list[dict[str, Any]] = []
        self._steps = BackgroundSteps(lambda: None, self._exported)
        self.start_worker: Callable[..., WorkerProcess] = WorkerProcess
        ui.resultsTable.itemSelectionChanged.connect(lambda *_: self._show_cases())
        ui.casesTable.itemSelectionChanged.connect(lambda *_: self._show_buttons())
        ui.reportButton.clicked.connect(lambda *_: self._open_report())
        ui.useButton.clicked.connect(lambda *_: self._use())
        ui.caseButton.clicked.connect(lambda *_: self._show_case())

    def show(self) -> None:
        """Update all that is displayed; files are read only if the summary has changed."""
        summary = self._watch.progress.experiment.summary if self._watch.progress else None
        changed = summary.stat().st_mtime if summary is not None and summary.exists() else 0.0
        if (self._watch.folder, changed) != self._shown:
            self._shown = (self._watch.folder, changed)
            values = json.loads(summary.read_text(encoding="utf-8")) if summary is not None and changed else {}
            architectures = values.get("architectures", {})
            self._architectures = list(architectures)
            fill_table(
                self._ui.resultsTable, [result_row(name, architectures[name]) for name in architectures], widest=0
            )
            if self._architectures:
                self._ui.resultsTable.selectRow(0)
            self._show_cases()
        for table in (self._ui.resultsTable, self._ui.casesTable):  # the width may have changed
            fit_rows(table)
        self._show_buttons()

    def _architecture(self) -> str | None:
        row = self._ui.resultsTable.currentRow()
        return self._architectures[row] if 0 <= row < len(self._architectures) else None

    def _case(self) -> dict[str, Any] | None:
        row = self._ui.casesTable.currentRow()
        return self._cases[row] if 0 <= row < len(self._cases) else None

    def _show_cases(self) -> None:
        architecture, progress = self._architecture(), self._watch.progress
        self._cases = []
        for fold in progress.folds if progress and architecture else ():
            if fold.folder.architecture == architecture and fold.folder.finished:
                metrics = json.loads(fold.folder.metrics.read_text(encoding="utf-8"))
                self._cases += [case | {"fold": fold.folder.fold} for case in metrics["cases"]]
        self._cases = sorted(self._cases, key=lambda case: case["dice"]["mean"])[:_MOST_CASES]
        rows = [[case["case"], *(f"{case['dice'][region]:.1%}" for region in REGIONS)] for case in self._cases]
        fill_table(self._ui.casesTable, rows, widest=0)
        self._show_buttons()

    def _show_buttons(self) -> None:
        none = _("No fold is finished yet.")
        report = self._watch.progress is not None and self._watch.progress.experiment.report.exists()
        for button, possible, tip, reason in (
            (self._ui.reportButton, report, _("Open report.html with the paper's figures in the browser."), none),
            (
                self._ui.useButton,
                self._architecture() is not None and not self._steps.running,
                _("Create a model from the architecture's finished folds, which Token-UNet Segmentation then lists."),
                _("The model is being created.") if self._steps.running else none,
            ),
            (
                self._ui.caseButton,
                self._case() is not None,
                _("Load the case with the prediction's outlines and the error map: missed tumor and false positives."),
                _("Select a case in the table."),
            ),
        ):
            button.setEnabled(possible)
            button.setToolTip(tip if possible else reason)

    def _open_report(self) -> None:
        if self._watch.progress is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._watch.progress.experiment.report)))

    def _use(self) -> None:
        architecture = self._architecture()
        if architecture is not None and self._watch.folder is not None:
            self._steps.start(self._export(self._watch.folder, architecture))
            self._show_buttons()

    def _export(self, experiment: Path, architecture: str) -> Iterator[None]:
        command = ["export", str(experiment), "--architecture", architecture]
        for _events in run_command(command, self.start_worker, _("The model could not be created.")):
            yield

    def _exported(self, error: Exception | None) -> None:
        self._show_buttons()
        if error is None:
            slicer.util.infoDisplay(_("Token-UNet Segmentation now lists the model."), "Token-UNet")
        else:
            _complain(error)

    def _show_case(self) -> None:
        case, architecture = self._case(), self._architecture()
        if case is None or architecture is None or self._watch.progress is None:
            return
        try:
            with slicer.util.WaitCursor():
                show_case(self._watch.progress.experiment, architecture, case["fold"], case["case"])
        except TokenUNetError as error:
            _complain(error)

    def abandon(self) -> None:
        """End the background work."""
        self._steps.abandon()


def _complain(error: Exception) -> None:
    hint = error.hint if isinstance(error, TokenUNetError) else ""
    slicer.util.errorDisplay(f"{error} {hint}".strip(), "Token-UNet")


def result_row(name: str, summary: dict[str, Any]) -> list[str]:
    """Return the cells of an architecture: mean Dice and, below, its standard deviation over folds, in percent."""
    cells = []
    for region in REGIONS:
        mean, std = summary["dice"][region]["mean"], summary["dice"][region]["std"]
        cells.append(f"{mean:.1%}" + ("" if std is None else f"\n± {std:.1%}"))
    return [title_of(name), *cells]
