"""Section "Many patients" of the panel: a table of patients, and the buttons of their batch."""

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _
from tokenunet.core.events import PatientEvent
from tokenunet.inference.request import SegmentationRequest

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.logic.batch import Batch, BatchRequest
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.output_folder import ProposedOutput
from TokenUNetSegmentationLib.scene.load_patient import load_patient_steps
from TokenUNetSegmentationLib.scene.results import PatientResult

_PATIENT, _SCANS, _STATE, *_VOLUMES, _DICE = range(7)
_REGIONS = ("WT", "TC", "ET")
_MOST_ROWS = 8
"""Rows in view; the table scrolls."""
_LONG_S = 90


class BatchPanel:
    """Section that checks and segments many patients.

    Args:
        ui: Widgets of TokenUNetBatch.ui.
        settings: Function that returns a request with the model and the options of the panel; None while there is no
            scene.
        installation: Rows that install the packages a run needs.
        on_result: Function that displays a loaded result in short steps.
    """

    def __init__(
        self,
        ui: Any,
        settings: Callable[[Path], SegmentationRequest | None],
        installation: InstallationPanel,
        on_result: Callable[[PatientResult], Iterator[None]],
    ) -> None:
        self._ui = ui
        self._settings = settings
        self._installation = installation
        self._on_result = on_result
        self._message = ""
        self._checking = False
        self._row_of: dict[str, int] = {}
        self.batch = Batch()
        self._work = BackgroundSteps(self._show_news, self._end_work)
        self._loading = BackgroundSteps(lambda: None, self._end_loading)
        self._proposed_output = ProposedOutput(ui.batchPlace, ui.batchOutput, "_results")
        ui.batchPlace.filters = ui.batchOutput.filters = ctk.ctkPathLineEdit.Dirs
        ui.batchTable.setColumnCount(7)
        ui.batchTable.setHorizontalHeaderLabels([_("Patient"), _("Scans"), _("State"), *_REGIONS, _("Dice")])
        ui.batchTable.horizontalHeaderItem(_DICE).setToolTip(_("Expected Dice coefficient of the whole tumor."))
        self._fit_columns()
        ui.batchTable.verticalHeader().setVisible(False)
        ui.batchPlace.currentPathChanged.connect(lambda *_: self._on_place())
        ui.batchOutput.currentPathChanged.connect(lambda *_: self._forget_rows())
        ui.batchCsvButton.clicked.connect(lambda *_: self._choose_csv())
        ui.batchFindButton.clicked.connect(lambda *_: self._find())
        ui.batchStartButton.clicked.connect(lambda *_: self._start())
        ui.batchPauseButton.clicked.connect(lambda *_: self._pause())
        ui.batchStopButton.clicked.connect(lambda *_: self._stop())
        ui.batchLoadButton.clicked.connect(lambda *_: self._load())
        ui.batchTable.itemDoubleClicked.connect(lambda *_: self._load())
        ui.batchTable.itemSelectionChanged.connect(self._show_buttons)
        self._show()

    @property
    def working(self) -> bool:
        """Whether patients are being checked or segmented."""
        return self._work.running

    @property
    def loading(self) -> bool:
        """Whether a result is being loaded."""
        return self._loading.running

    def abandon(self) -> None:
        """End all work at once; finished results stay."""
        self._work.abandon()
        self.abandon_loading()

    def abandon_loading(self) -> None:
        """End the loading of a result: the scene is being closed."""
        self._loading.abandon()

    def correct(self, result: Path, volumes_ml: dict[str, float]) -> None:
        """Display the volumes of a result that was corrected.

        Args:
            result: Folder of the result.
            volumes_ml: Volumes in ml.
        """
        self.batch.correct(result, volumes_ml)
        self._show()

    def _paths(self) -> tuple[str, str]:
        """Return the chosen patients and the folder for the results; empty texts if not chosen."""
        return self._ui.batchPlace.currentPath, self._ui.batchOutput.currentPath

    def _request(self) -> BatchRequest | None:
        place, output = self._paths()
        settings = self._settings(Path(output))
        return BatchRequest(Path(place), settings) if place and output and settings is not None else None

    def _on_place(self) -> None:
        self._proposed_output.update()
        self._forget_rows()

    def _choose_csv(self) -> None:
        chosen = qt.QFileDialog.getOpenFileName(None, _("Choose a table of patients"), "", "CSV (*.csv)")
        if chosen:
            self._ui.batchPlace.setCurrentPath(chosen)

    def _forget_rows(self) -> None:
        if not self.working:
            self.batch.rows.clear()
            self._message = ""
            self._show()

    def _find(self) -> None:
        self._begin(self.batch.check_steps, checking=True)

    def _start(self) -> None:
        self._begin(self.batch.run_steps, checking=False)

    def _begin(self, steps: Callable[[BatchRequest], Iterator[None]], checking: bool) -> None:
        if not self._installation.install():
            return
        request = self._request()
        if request is not None and not self.working:
            self._checking, self._message = checking, ""
            self._work.start(steps(request))
            self._show()

    def _pause(self) -> None:
        if self.batch.paused:
            self.batch.resume()
        else:
            self.batch.pause()
        self._show()

    def _stop(self) -> None:
        self.batch.stop()
        self._show()

    def _end_work(self, error: Exception | None) -> None:
        counts = _("{done} done, {failed} with problems, {left} left.").format(
            done=self.batch.count("ok", "skipped"),
            failed=self.batch.count("failed"),
            left=self.batch.count("ready", "waiting"),
        )
        texts = ([] if error is None else [sentence(error)]) + ([counts] if self.batch.rows else [])
        self._message = " ".join(texts)
        self._show()

    def _load(self) -> None:
        row = self._chosen()
        if row is not None and row.volumes_ml and not self.loading:
            self._message = _("Loading {patient}").format(patient=escape(row.patient))
            self._loading.start(self._load_and_show(row))
            self._show()

    def _load_and_show(self, row: PatientEvent) -> Iterator[None]:
        result = None
        for loaded in load_patient_steps(Path(row.output), row.patient):
            result = loaded
            yield
        assert result is not None
        yield from self._on_result(result)

    def _end_loading(self, error: Exception | None) -> None:
        self._message = "" if error is None else sentence(error)
        self._show()

    def _chosen(self) -> PatientEvent | None:
        number = self._ui.batchTable.currentRow()
        rows = list(self.batch.rows.values())
        return rows[number] if self._ui.batchTable.selectedItems() and 0 <= number < len(rows) else None

    def _show_news(self) -> None:
        if self.batch.changed:
            self._show()
        else:
            self._show_progress()

    def _show(self) -> None:
        self._show_rows()
        self._show_buttons()
        self._show_progress()
        self._ui.batchMessage.setText(self._message)
        self._ui.batchMessage.setVisible(bool(self._message))

    def _show_rows(self) -> None:
        """Update the rows with news."""
        table, rows = self._ui.batchTable, self.batch.rows
        names, displayed = list(rows), list(self._row_of)
        if names != displayed:
            if names[: len(displayed)] != displayed:  # those of another batch
                table.clearSelection()
                self.batch.changed = set(rows)
            self._row_of = {patient: number for number, patient in enumerate(names)}
            table.setRowCount(len(names))
        news = self.batch.changed & set(rows)
        if news:  # otherwise the table looks through all rows for the width of a column at each cell
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        for patient in news:
            for column, text in enumerate(_cells(rows[patient])):
                item = qt.QTableWidgetItem(text)
                if column in (*_VOLUMES, _DICE):
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                item.setToolTip(_details(rows[patient]))
                table.setItem(self._row_of[patient], column, item)
        if news:
            self._fit_columns()
        if names != displayed:
            table.resizeRowsToContents()
        self.batch.changed = set()
        measured = any(row.volumes_ml for row in rows.values())
        table.setColumnHidden(_SCANS, measured)
        for column in _VOLUMES:
            table.setColumnHidden(column, not measured)
        table.setColumnHidden(_DICE, not any(row.expected_dice for row in rows.values()))
        table.setVisible(bool(rows))
        height = table.verticalHeader().length() * min(1, _MOST_ROWS / max(len(rows), 1))
        table.setFixedHeight(table.horizontalHeader().height + round(height) + 2 * table.frameWidth)

    def _fit_columns(self) -> None:
        header = self._ui.batchTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_PATIENT, qt.QHeaderView.Stretch)

    def _show_buttons(self) -> None:
        ui, batch, ready = self._ui, self.batch, all(self._paths())
        choose = _("Choose the patients and a folder for the results first.")
        running = self.working and not self._checking
        resumes = batch.count("ok", "skipped") > 0 and batch.count("ready", "waiting", "failed") > 0
        ui.batchStartButton.setText(_("Resume") if resumes and not running else _("Start"))
        for widget in (ui.batchPlace, ui.batchOutput, ui.batchCsvButton):
            widget.setEnabled(not self.working)
        for button, purpose in (
            (ui.batchFindButton, _("Read the scans of all patients, and list what is wrong with them.")),
            (ui.batchStartButton, _("Segment all patients that have no results yet.")),
        ):
            button.setEnabled(ready and not self.working)
            button.setToolTip(purpose if ready else choose)
        ui.batchPauseButton.setEnabled(running and not batch.stopping)
        ui.batchPauseButton.setText(_("Continue") if batch.paused else _("Pause"))
        ui.batchStopButton.setEnabled(self.working and not batch.stopping)
        chosen = self._chosen()
        ui.batchLoadButton.setEnabled(chosen is not None and bool(chosen.volumes_ml) and not self.loading)
        ui.batchDetails.setText("" if chosen is None else _details(chosen))
        ui.batchDetails.setVisible(chosen is not None)

    def _show_progress(self) -> None:
        bar, batch = self._ui.batchProgress, self.batch
        bar.setVisible(self.working)
        bar.setValue(round(100 * batch.fraction))
        if self._checking:
            text = _("Reading the scans %p%")
        else:
            text = _("{done} of {all} patients").format(
                done=batch.count("ok", "skipped", "failed"), all=len(batch.rows)
            )
            if batch.paused:
                text += _(", paused")
            elif batch.seconds_left is not None:
                text += _(", about {time} left").format(time=_duration(batch.seconds_left))
        bar.setFormat(_("Stopping") if batch.stopping else text)


def _cells(row: PatientEvent) -> list[str]:
    state = {
        "ready": _("ready"),
        "waiting": _("waiting"),
        "running": _("running"),
        "ok": _("done"),
        "skipped": _("done before"),
        "failed": _("problem"),
    }[row.status]
    sign = "⚠ " if row.message or row.notes else ""
    volumes = (f"{row.volumes_ml[name]:.1f}" if name in row.volumes_ml else "" for name in _REGIONS)
    dice = f"{row.expected_dice['WT']:.2f}" if "WT" in row.expected_dice else ""
    return [row.patient, " ".join(row.scans), sign + state, *volumes, dice]


def _details(row: PatientEvent) -> str:
    """Return what is known of a patient's scans, and what is wrong, as rich text."""
    scans = _("Scans: {names}.").format(names=", ".join(row.scans)) if row.scans else ""
    return " ".join(escape(text) for text in (f"{row.patient}.", scans, row.message, row.hint, *row.notes) if text)


def _duration(seconds: float) -> str:
    if seconds < _LONG_S:
        return _("{seconds:.0f} s").format(seconds=seconds)
    return _("{minutes:.0f} min").format(minutes=seconds / 60)
