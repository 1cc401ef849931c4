"""Section "Result" of the panel: volumes, segments, views, correction and export."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.edits import EDITS
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.regions import REGIONS
from tokenunet.io.files import file_name

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.process.worker import WorkerProcess
from TokenUNetSegmentationLib.scene.alignment import show_aligned, shows_aligned
from TokenUNetSegmentationLib.scene.corrections import Corrections, describe_edit
from TokenUNetSegmentationLib.scene.displays import (
    jump_to_tumor,
    show_surfaces,
    shows_surfaces,
    surface_steps,
    visible_surface_steps,
)
from TokenUNetSegmentationLib.scene.editing import NN_INTERACTIVE, SEGMENT_EDITOR, Edit, has_nn_interactive, open_editor
from TokenUNetSegmentationLib.scene.export import (
    can_export_dicom,
    can_save_corrections,
    command_line,
    export_dicom,
    export_labels,
    export_segmentation,
    remake_steps,
    run_report_text,
    save_corrections,
)
from TokenUNetSegmentationLib.scene.load_result import show_exclusive_labels
from TokenUNetSegmentationLib.scene.nodes import display_node
from TokenUNetSegmentationLib.scene.results import PatientResult


class ResultPanel:
    """Section that displays one result and the actions on it.

    Args:
        ui: Widgets of the .ui file.
        result: Function that returns the selected result, or None.
        on_saved: Callback after corrections were saved, which receives the folder and the volumes in ml.
    """

    def __init__(
        self,
        ui: Any,
        result: Callable[[], PatientResult | None],
        on_saved: Callable[[Path, dict[str, float]], None] = lambda folder, volumes_ml: None,
    ) -> None:
        self._ui = ui
        self._result = result
        self._on_saved = on_saved
        self._showing = False
        self._edit_visit: Edit | None = None
        self._module_selector: Any = None
        self._said_of = ""
        self._corrections = Corrections()
        self._updating = BackgroundSteps(lambda: None, self._end_updating)
        self._surfaces = BackgroundSteps(lambda: None, self._end_surfaces)
        self._remaking = BackgroundSteps(lambda: None, self._end_remaking)
        self._saved = ""
        self.start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess
        ui.opacitySlider.valueChanged.connect(self._when_asked(lambda r: self._display(r).SetOpacity(self._opacity())))
        ui.fillBox.toggled.connect(self._when_asked(lambda r: self._display(r).SetVisibility2DFill(ui.fillBox.checked)))
        ui.outlineBox.toggled.connect(
            self._when_asked(lambda r: self._display(r).SetVisibility2DOutline(ui.outlineBox.checked))
        )
        ui.show3DBox.toggled.connect(self._when_asked(self._show_surfaces))
        ui.exclusiveBox.toggled.connect(self._when_asked(self._show_exclusive))
        ui.alignedBox.toggled.connect(self._when_asked(lambda r: show_aligned(r, ui.alignedBox.checked)))
        ui.jumpButton.clicked.connect(self._when_asked(self._jump))
        ui.editButton.clicked.connect(self._when_asked(lambda r: self._edit(r, SEGMENT_EDITOR)))
        ui.nnInteractiveButton.clicked.connect(self._when_asked(lambda r: self._edit(r, NN_INTERACTIVE)))
        ui.undoButton.clicked.connect(self._when_asked(self._undo))
        ui.exportSegButton.clicked.connect(self._when_asked(self._export_segmentation))
        ui.exportNiftiButton.clicked.connect(self._when_asked(self._export_labels))
        ui.exportDicomButton.clicked.connect(self._when_asked(export_dicom))
        ui.saveCorrectionsButton.clicked.connect(self._when_asked(self._save_corrections))
        ui.reportButton.clicked.connect(self._when_asked(self._show_report))
        ui.commandButton.clicked.connect(self._when_asked(self._copy_command))

    def _when_asked(self, action: Callable[[PatientResult], object]) -> Callable[..., None]:
        """Return a slot that acts on the selected result, unless the panel itself changed the widget."""

        def slot(*_arguments: object) -> None:
            result = self._result()
            if result is None or self._showing:
                return
            try:
                action(result)
            except TokenUNetError as error:
                self._say(sentence(error))

        return slot

    def _say(self, text: str) -> None:
        self._ui.resultLabel.setText(text)
        self._ui.resultLabel.setVisible(bool(text))

    def _opacity(self) -> float:
        return self._ui.opacitySlider.value

    def _segmentation(self, result: PatientResult) -> slicer.vtkMRMLSegmentationNode:
        """Return the displayed segmentation: nested regions or exclusive labels."""
        labels = result.exclusive_labels
        return labels if labels is not None and self._ui.exclusiveBox.checked else result.segmentation

    def _display(self, result: PatientResult) -> slicer.vtkMRMLSegmentationDisplayNode:
        return display_node(self._segmentation(result))

    def show(self) -> None:
        """Update all that is displayed."""
        result = self._result()
        self._showing = True
        try:
            self._enable(result)
            if result is not None and self._ui.exclusiveBox.checked and result.exclusive_labels is None:
                display_node(result.segmentation).SetVisibility(True)  # the user has removed the displayed labels
            self._ui.exclusiveBox.setChecked(result is not None and _shows_exclusive(result))
            self._ui.segmentsTable.setSegmentationNode(None if result is None else self._segmentation(result))
            shown = "" if result is None else result.segmentation.GetID()
            if shown != self._said_of:
                self._say("")
            self._said_of = shown
            if result is not None:
                display = self._display(result)
                self._ui.opacitySlider.value = display.GetOpacity()
                self._ui.fillBox.setChecked(display.GetVisibility2DFill())
                self._ui.outlineBox.setChecked(display.GetVisibility2DOutline())
                self._ui.show3DBox.setChecked(self._surfaces.running or shows_surfaces(result))
            self._ui.alignedBox.setChecked(result is not None and shows_aligned(result))
            self._show_volumes(result)
        finally:
            self._showing = False
        if result is not None and not self._corrections.knows(result) and not self._updating.running:
            self.notice_correction()

    def _enable(self, result: PatientResult | None) -> None:
        for widget in (
            self._ui.segmentsTable,
            self._ui.exclusiveBox,
            self._ui.opacitySlider,
            self._ui.fillBox,
            self._ui.outlineBox,
            self._ui.show3DBox,
            self._ui.jumpButton,
            self._ui.editButton,
            self._ui.nnInteractiveButton,
            self._ui.exportSegButton,
            self._ui.exportNiftiButton,
            self._ui.reportButton,
            self._ui.commandButton,
        ):
            widget.setEnabled(result is not None)
        self._ui.nnInteractiveButton.setVisible(has_nn_interactive())
        self._ui.undoButton.setVisible(result is not None and self._corrections.can_undo(result))
        self._ui.alignedBox.setVisible(result is not None and bool(result.transforms))
        self._ui.exportDicomButton.setEnabled(False)
        self._ui.saveCorrectionsButton.setEnabled(False)
        if result is not None:
            answer = can_save_corrections(result)
            self._ui.saveCorrectionsButton.setEnabled(answer.possible and not self._remaking.running)
            self._ui.saveCorrectionsButton.setToolTip(answer.reason)
            answer = can_export_dicom(result)
            self._ui.exportDicomButton.setEnabled(answer.possible)
            self._ui.exportDicomButton.setToolTip(answer.reason)

    def _show_volumes(self, result: PatientResult | None) -> None:
        table = result.volume_table if result is not None else None
        headers = [_("Region"), _("Volume (ml)")]
        meaning = _("Volume of each region in milliliters.")
        rows = []
        outside = False
        if table is not None:
            for row in range(table.GetNumberOfRows()):
                columns = range(1, table.GetNumberOfColumns())
                volume, *ends = (round(float(table.GetCellText(row, column)), 1) for column in columns)
                rows.append([table.GetCellText(row, 0), f"{volume:.1f}"])
                if ends:
                    mark = "" if ends[0] <= volume <= ends[1] else " *"
                    outside |= bool(mark)
                    rows[-1].append(_("{low:.1f} to {high:.1f}").format(low=ends[0], high=ends[1]) + mark)
            if table.GetNumberOfColumns() > 2:
                headers = [_("Region"), _("ml"), _("Range")]  # as short as large letters need it
                meaning += " " + _("Range: smallest and largest volume of the ensemble's members alone.")
        notes = [_("* Outside the range: averaging or a correction gave a volume that no member gave alone.")] * outside
        notes += [] if result is None else [describe_edit(edit) for edit in result.report.get(EDITS, ())[-1:]]
        self._ui.volumesNote.setText(" ".join(notes))
        self._ui.volumesNote.setVisible(bool(notes))
        self._ui.volumesTable.setToolTip(meaning)
        self._ui.volumesTable.setColumnCount(len(headers))
        self._ui.volumesTable.setHorizontalHeaderLabels(headers)
        fill_table(self._ui.volumesTable, rows)

    def notice_correction(self) -> None:
        """Look for a correction, and update all that depends on it."""
        result = self._result()
        self._updating.abandon()
        if result is not None and result.reference is not None:
            self._updating.start(self._corrections.notice_steps(result))

    def _undo(self, result: PatientResult) -> None:
        self._updating.abandon()
        self._updating.start(self._corrections.undo_steps(result))

    def _end_updating(self, error: Exception | None) -> None:
        if error is None:
            self.show()
        else:
            self._say(sentence(error))

    def abandon(self) -> None:
        """Stop the background work, and an edit that was not finished."""
        self._updating.abandon()
        self._surfaces.abandon()
        self._end_visit()
        if self._module_selector is not None:
            self._module_selector.moduleSelected.disconnect(self._on_module)
            self._module_selector = None

    def end_remaking(self) -> None:
        """Stop making files again; they stay removed."""
        self._remaking.abandon()

    def release(self) -> None:
        """Release the result's nodes, which are about to be removed from the scene."""
        self._surfaces.abandon()
        self._ui.segmentsTable.setSegmentationNode(None)
        self._corrections.forget()

    def _show_exclusive(self, result: PatientResult) -> None:
        self._surfaces.abandon()
        show_exclusive_labels(result, self._ui.exclusiveBox.checked)
        self._surfaces.start(visible_surface_steps(result))
        self.show()

    def _show_surfaces(self, result: PatientResult) -> None:
        self._surfaces.abandon()
        if self._ui.show3DBox.checked:
            self._surfaces.start(self._surface_steps(result))
        else:
            show_surfaces(result, False)

    def _surface_steps(self, result: PatientResult) -> Iterator[None]:
        yield from surface_steps(result)
        show_surfaces(result)
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().resetThreeDViews()

    def _end_surfaces(self, error: Exception | None) -> None:
        if error is not None:
            self._say(sentence(error))

    def _jump(self, result: PatientResult) -> None:
        if not jump_to_tumor(result):
            self._say(_("No tumor was found."))

    def _edit(self, result: PatientResult, module: str) -> None:
        self.abandon()
        chosen = [name for name in self._ui.segmentsTable.selectedSegmentIDs() if name in REGIONS]
        self._edit_visit = Edit(module, open_editor(result, module, *chosen[:1]))
        with suppress(RuntimeError):  # without a main window, no module is ever left
            self._module_selector = slicer.util.moduleSelector()
            self._module_selector.moduleSelected.connect(self._on_module)

    def _on_module(self, name: str) -> None:
        if self._edit_visit is not None and name != self._edit_visit.module:
            self.finish_edit()

    def finish_edit(self) -> None:
        """Take over what was corrected in another module."""
        self._end_visit()
        self.notice_correction()

    def _end_visit(self) -> None:
        """Restore what an edit in another module has changed there."""
        if self._edit_visit is not None:
            self._edit_visit.close()
            self._edit_visit = None

    def _export_segmentation(self, result: PatientResult) -> None:
        self._export(
            result, export_segmentation, _("Save segmentation"), ".seg.nrrd", _("Segmentation") + " (*.seg.nrrd)"
        )

    def _export_labels(self, result: PatientResult) -> None:
        self._export(result, export_labels, _("Save labels"), ".nii.gz", "NIfTI (*.nii.gz)")

    def _export(
        self, result: PatientResult, write: Callable[[PatientResult, Path], None], title: str, ending: str, kind: str
    ) -> None:
        suggestion = file_name(result.segmentation.GetName()) + ending
        chosen = qt.QFileDialog.getSaveFileName(None, title, suggestion, kind)
        if not chosen:
            return
        path = Path(chosen if chosen.endswith(ending) else chosen + ending)
        write(result, path)
        self._say(_("Saved {path}.").format(path=escape(str(path))))

    def _save_corrections(self, result: PatientResult) -> None:
        folder, removed = save_corrections(result)
        self._saved = _("Saved {path}.").format(path=escape(str(folder)))
        self._say(self._saved)
        self._on_saved(folder, result.report["volumes_ml"])
        if removed:
            self._remaking.start(self._remake_steps(folder, removed))
            self.show()

    def _remake_steps(self, folder: Path, removed: Sequence[str]) -> Iterator[None]:
        names = ", ".join(removed)
        try:
            for fraction in remake_steps(folder, removed, self.start_worker):
                making = _("Making {files} again: {percent:.0f} %").format(files=names, percent=100 * fraction)
                self._say(f"{self._saved} {making}")
                yield
        except TokenUNetError as error:
            text = _("Removed, as they showed the uncorrected regions: {files}.").format(files=names)
            self._say(f"{self._saved} {text} {sentence(error)}")
        else:
            self._say(f"{self._saved} " + _("Made again with the corrected regions: {files}.").format(files=names))

    def _end_remaking(self, error: Exception | None) -> None:
        if error is not None:
            self._say(sentence(error))
        self.show()

    def _show_report(self, result: PatientResult) -> None:
        slicer.util.infoDisplay(run_report_text(result), _("Run report"))

    def _copy_command(self, result: PatientResult) -> None:
        slicer.app.clipboard().setText(command_line(result))
        self._say(_("The command line is in the clipboard."))


def _shows_exclusive(result: PatientResult) -> bool:
    labels = result.exclusive_labels
    return labels is not None and bool(display_node(labels).GetVisibility())
