"""Section "Follow-up" of the panel: changes between time points of one patient."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _
from tokenunet.core.errors import Cancelled
from tokenunet.followup.charts import charts_of
from tokenunet.followup.request import PAGE
from tokenunet.inference.request import SegmentationRequest

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.logic.followup import FollowUpRun, request_with, scene_time_points
from TokenUNetSegmentationLib.logic.stages import stage_title
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.output_folder import ProposedOutput
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.followup import (
    FollowUpNodes,
    follow_up_in_scene,
    leave_views,
    show_map,
    show_side_by_side,
)
from TokenUNetSegmentationLib.scene.followup_chart import FollowUpChart


class FollowUpPanel:
    """Section that compares time points.

    Args:
        ui: Widgets of TokenUNetFollowUp.ui.
        settings: Function that returns a request with the model and the device of the panel.
        installation: Rows that install the packages a run needs.
    """

    def __init__(
        self, ui: Any, settings: Callable[[Path], SegmentationRequest | None], installation: InstallationPanel
    ) -> None:
        self._ui = ui
        self._settings = settings
        self._installation = installation
        self._message = ""
        self._layout_before: int | None = None
        self._output: Path | None = None
        self._chart = FollowUpChart()
        self.run = FollowUpRun()
        self.nodes: FollowUpNodes | None = None
        self._work = BackgroundSteps(self._show_progress, self._end)
        self._proposed_output = ProposedOutput(ui.followUpPatient, ui.followUpOutput, "_follow-up")
        ui.followUpPatient.filters = ui.followUpOutput.filters = ctk.ctkPathLineEdit.Dirs
        ui.followUpTable.setColumnCount(5)
        ui.followUpTable.setHorizontalHeaderLabels([_("Time points"), "", _("ml"), "±", "%"])
        ui.followUpPatient.currentPathChanged.connect(lambda *_: self._on_patient())
        ui.followUpOutput.currentPathChanged.connect(lambda *_: self.show())
        ui.followUpSceneBox.toggled.connect(lambda *_: self._on_scene_box())
        ui.followUpButton.clicked.connect(lambda *_: self._start())
        ui.followUpCancelButton.clicked.connect(lambda *_: self._cancel())
        ui.followUpViewBox.currentIndexChanged.connect(lambda *_: self._show_views())
        ui.followUpMapBox.currentIndexChanged.connect(lambda *_: self._show_views())
        ui.followUpPageButton.clicked.connect(lambda *_: self._open_page())
        self._show_result()
        self.show()

    @property
    def running(self) -> bool:
        """Whether time points are being compared."""
        return self._work.running

    def abandon(self) -> None:
        """End all work and leave the views: the scene is being closed."""
        self._work.abandon()
        self._leave_views()
        self.nodes = None
        self._show_result()
        self._show_state()

    def show(self) -> None:
        """Update all that is displayed; a comparison that was loaded with the scene becomes the current one."""
        if self.nodes is None and not self.running:
            self._restore()
        self._show_state()

    def _show_state(self) -> None:
        """Update the buttons and the message."""
        ui, of_scene = self._ui, self._ui.followUpSceneBox.checked
        reason = self._why_not()
        ui.followUpButton.setEnabled(not reason and not self.running)
        ui.followUpButton.setToolTip(reason or _("Segment, align and compare the time points."))
        ui.followUpCancelButton.setVisible(self.running)
        for widget in (ui.followUpOutput, ui.followUpOrder, ui.followUpSceneBox):
            widget.setEnabled(not self.running)
        ui.followUpPatient.setEnabled(not self.running and not of_scene)
        self._show_progress()
        ui.followUpMessage.setText(self._message)
        ui.followUpMessage.setVisible(bool(self._message))

    def _restore(self) -> None:
        """Display the table of a follow-up in the scene, which was loaded with it; the views stay as they are."""
        self.nodes = follow_up_in_scene()
        if self.nodes is not None:
            self._output = self.nodes.output
            self._show_result()

    def _why_not(self) -> str:
        if self._ui.followUpSceneBox.checked and len(scene_time_points()) < 2:
            return _("Segment two or more time points first.")
        if not self._ui.followUpSceneBox.checked and not self._ui.followUpPatient.currentPath:
            return _("Choose the folder of a patient first.")
        return "" if self._ui.followUpOutput.currentPath else _("Choose a folder for the results first.")

    def _on_patient(self) -> None:
        self._proposed_output.update()
        self.show()

    def _on_scene_box(self) -> None:
        names = [point.name for point in scene_time_points()] if self._ui.followUpSceneBox.checked else []
        self._ui.followUpOrder.text = ", ".join(names)
        self.show()

    def _start(self) -> None:
        if self.running or self._why_not() or not self._installation.install():
            return
        output = Path(self._ui.followUpOutput.currentPath)
        settings = self._settings(output)
        if settings is None:
            return
        order = [name.strip() for name in self._ui.followUpOrder.text.split(",") if name.strip()]
        points = {point.name: point for point in scene_time_points()} if self._ui.followUpSceneBox.checked else {}
        unknown = [name for name in order if points and name not in points]
        if unknown:
            self._message = _("There is no time point {name} in the scene.").format(name=escape(unknown[0]))
            self.show()
            return
        replaces = self.nodes is not None and output == self._output  # what is displayed was written there
        request = request_with(settings, Path(self._ui.followUpPatient.currentPath), order, replaces)
        self._output, self._message, self.run = output, "", FollowUpRun()
        self._work.start(self.run.steps(request, [points[name] for name in order or points] if points else ()))
        self.show()

    def _cancel(self) -> None:
        self._work.abandon()
        self._end(Cancelled(_("Stopped. Finished segmentations are kept.")))

    def _end(self, error: Exception | None) -> None:
        warnings = " ".join(f"<b>⚠</b> {escape(warning)}" for warning in self.run.warnings)
        self._message = warnings if error is None else sentence(error)
        if error is None:
            self._leave_views()
            if self.nodes is not None:
                self.nodes.remove()
            self.nodes = self.run.nodes
            self._show_result()
            self._ui.followUpViewBox.setCurrentIndex(1)
        self.show()

    def _show_progress(self) -> None:
        self._ui.followUpProgress.setVisible(self.running)
        self._ui.followUpProgress.setValue(round(100 * self.run.progress.fraction))
        self._ui.followUpProgress.setFormat(f"{stage_title(self.run.progress.stage)} %p%")

    def _show_result(self) -> None:
        ui, report = self._ui, {} if self.nodes is None else self.nodes.report
        ui.followUpResult.setVisible(bool(report))
        rows = [
            (
                f"{change['earlier']} → {change['later']}",
                change["region"],
                f"{'≈ ' if change['within_uncertainty'] else ''}{change['difference_ml']:+.2f}",
                f"{change['uncertainty_ml']:.2f}",
                "" if change["percent"] is None else f"{change['percent']:+.0f}",
            )
            for change in report.get("changes", ())
        ]
        fill_table(ui.followUpTable, rows, widest=0)
        for box in (ui.followUpViewBox, ui.followUpMapBox):
            was_blocked = box.blockSignals(True)
            box.clear()
            box.addItem(_("nothing"))
            box.blockSignals(was_blocked)
        if not report:
            return
        uncertainty = report["uncertainty"]
        few = _(" These are few patients: ± is preliminary.") if uncertainty["preliminary"] else ""
        ui.followUpUncertainty.setText(
            _(
                "≈: within ±, the error that 95 % of measured changes stay below (on {count} synthetic patients with "
                "{model}). Such a change may be none."
            ).format(count=uncertainty["patients"], model=uncertainty["model"])
            + few
        )
        for title in (
            _("Time points side by side"),
            *(_("{title} over time").format(title=c.title) for c in self._charts()),
        ):
            ui.followUpViewBox.addItem(title)
        for node in self.nodes.maps if self.nodes is not None else ():
            ui.followUpMapBox.addItem(node.GetName())

    def _charts(self) -> list[Any]:
        return [] if self.nodes is None else charts_of(self.nodes.report)

    def _show_views(self) -> None:
        """Display what is chosen: views side by side with a map of change, a chart, or what was there before."""
        chosen = self._ui.followUpViewBox.currentIndex
        self._ui.followUpMapBox.setEnabled(chosen == 1)
        if self.nodes is None or chosen <= 0:
            self._leave_views()
        elif not self.nodes.is_complete():
            self._message = _("A node of the comparison was removed from the scene. Compare the time points again.")
            self.show()
        elif chosen == 1:
            self._chart.remove()
            self._remember_layout(show_side_by_side(self.nodes))
            show_map(self.nodes, max(0, self._ui.followUpMapBox.currentIndex))
        else:
            in_days = self.nodes.report["time_points"][0]["day"] is not None
            self._remember_layout(self._chart.show(self._charts()[chosen - 2], in_days))

    def _remember_layout(self, layout: int) -> None:
        if self._layout_before is None:
            self._layout_before = layout

    def _leave_views(self) -> None:
        self._chart.remove()
        if self._layout_before is not None:
            leave_views(self._layout_before)
            self._layout_before = None

    def _open_page(self) -> None:
        if self._output is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._output / PAGE)))
