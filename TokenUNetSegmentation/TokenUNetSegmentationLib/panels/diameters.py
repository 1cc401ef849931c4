"""Section "Diameters" of the panel: table of lesions, and their diameters as lines in the views."""

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.regions import REGION_TITLES, REGIONS

from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.panels.tables import fill_table
from TokenUNetSegmentationLib.scene.diameters import (
    ListedLesion,
    draw_lines,
    listed_lesions,
    measure_lesions,
    remove_lines,
    take_over_line,
    update_lines,
)
from TokenUNetSegmentationLib.scene.results import PatientResult


class DiametersPanel:
    """Section that lists the lesions of the selected result.

    Args:
        ui: Widgets of the .ui file.
        result: Function that returns the selected result, or None.
    """

    def __init__(self, ui: Any, result: Callable[[], PatientResult | None]) -> None:
        self._ui = ui
        self._result = result
        self._lesions: list[ListedLesion] = []
        self._observed: list[tuple[slicer.vtkMRMLNode, int]] = []
        ui.lesionsTable.setColumnCount(4)
        ui.lesionsTable.setHorizontalHeaderLabels([_("Lesion"), _("Longest"), _("Across"), _("Product")])
        ui.lesionsTable.cellClicked.connect(lambda row, _column: self._jump(row))
        ui.linesBox.clicked.connect(lambda *_: self._toggle_lines())
        ui.resetLinesButton.clicked.connect(lambda *_: self._measure())

    def show(self) -> None:
        """Update all that is displayed, and follow the lines and the run report of the selected result."""
        self.release()
        result = self._result()
        self._ui.diametersContents.setEnabled(result is not None)
        if result is not None:
            update_lines(result)
            for node in result.diameter_lines:
                self._observe(node, node.PointModifiedEvent, self._on_point_moved)
            if result.report_node is not None:
                self._observe(result.report_node, vtk.vtkCommand.ModifiedEvent, lambda *_: self.show())
        self._ui.linesBox.setChecked(result is not None and bool(result.diameter_lines))
        self._show_table()

    def _observe(self, node: slicer.vtkMRMLNode, event: int, callback: Callable[..., None]) -> None:
        self._observed.append((node, node.AddObserver(event, callback)))

    def release(self) -> None:
        """Stop following nodes, which may be removed from the scene."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def _show_table(self) -> None:
        result = self._result()
        self._lesions = [] if result is None else listed_lesions(result)
        rows = []
        for lesion in self._lesions:
            longest, across = lesion.diameters.longest.length_mm, lesion.diameters.perpendicular.length_mm
            mark = "" if lesion.diameters.is_measurable else " *"
            rows.append([lesion.name + mark, f"{longest:.1f}", f"{across:.1f}", f"{lesion.diameters.product_mm2:.0f}"])
        fill_table(self._ui.lesionsTable, rows)
        self._ui.lesionsTable.setVisible(bool(rows))
        self._ui.lesionsLabel.setText(self._summary(result))

    def _summary(self, result: PatientResult | None) -> str:
        if result is None:
            return _("No result is selected.")
        if not self._lesions:
            return _("No lesion was measured.")
        texts = []
        for region in REGIONS:
            products = [
                x.diameters.product_mm2 for x in self._lesions if x.region == region and x.diameters.is_measurable
            ]
            if products:
                texts.append(
                    _("Sum of products, {region}: {sum:.0f} mm².").format(
                        region=REGION_TITLES[region], sum=sum(products)
                    )
                )
        if any(not lesion.diameters.is_measurable for lesion in self._lesions):
            texts.append(_("* Less than 10 mm in either: not measurable by RANO 2.0, and not in the sum."))
        return " ".join(texts)

    def _on_point_moved(self, node: slicer.vtkMRMLMarkupsLineNode, _event: str) -> None:
        result = self._result()
        if result is not None:
            take_over_line(result, node)

    def _toggle_lines(self) -> None:
        result = self._result()
        if result is not None:
            self.release()
            (draw_lines if self._ui.linesBox.checked else remove_lines)(result)
            self.show()

    def _measure(self) -> None:
        result = self._result()
        if result is None:
            return
        self.release()
        try:
            measure_lesions(result)
        except TokenUNetError as error:
            self._ui.lesionsLabel.setText(sentence(error))
            return
        self.show()

    def _jump(self, row: int) -> None:
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *self._lesions[row].center)
