"""Loss and Dice of every fold in Slicer's plot view."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import slicer

if TYPE_CHECKING:
    from tokenunet.training.progress import FoldProgress

_COLOURS = {
    "token_unet_transformer": (0.0, 0.45, 0.70),
    "token_unet": (0.34, 0.71, 0.91),
    "unet_star": (0.0, 0.62, 0.45),
    "unet": (0.90, 0.62, 0.0),
    "swin_unetr": (0.84, 0.37, 0.0),
}
"""Told apart by colour-blind people, too."""


class CurveKind(Enum):
    """What is drawn over the epochs."""

    NONE = "none"
    LOSS = "loss"
    DICE = "Dice"


def fold_values(fold: "FoldProgress", kind: CurveKind) -> dict[int, float]:
    """What a fold's line goes through, by epoch."""
    if kind is CurveKind.LOSS:
        return fold.losses
    return {epoch: dice["mean"] for epoch, dice in fold.dice.items()}


class Curves:
    """A chart and its lines in the scene; they are made at the first `show` and removed by `remove`."""

    def __init__(self) -> None:
        self._chart: slicer.vtkMRMLPlotChartNode | None = None
        self._tables: dict[str, slicer.vtkMRMLTableNode] = {}
        self._layout_before: int | None = None
        self._lines: list[slicer.vtkMRMLPlotSeriesNode] = []
        self._kind = CurveKind.NONE

    def show(self, folds: Sequence["FoldProgress"], kind: CurveKind) -> None:
        """Draws a line for every fold that has values, in a layout with a plot view; hides the chart for ``NONE``."""
        if kind is not self._kind:
            self.remove()
            self._kind = kind
            if kind is not CurveKind.NONE:
                self._add_chart()
        if self._chart is None:
            return
        for fold in folds:
            name = f"{fold.folder.architecture}, fold {fold.folder.fold}"
            if values := fold_values(fold, kind):
                self._line(name, fold.folder.architecture, values)

    def _add_chart(self) -> None:
        self._chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Token-UNet training")
        self._chart.SetTitle(f"Training: {self._kind.value}")
        self._chart.SetXAxisTitle("epoch")
        self._chart.SetYAxisTitle(self._kind.value)
        self._chart.SetSaveWithScene(False)
        layout = slicer.app.layoutManager()
        if layout is not None:
            self._layout_before = layout.layout
            layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(self._chart)

    def _line(self, name: str, architecture: str, values: Mapping[int, float]) -> None:
        table = self._tables.get(name)
        if table is None:
            table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
            line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
            for node in (table, line):
                node.SetSaveWithScene(False)
            slicer.util.updateTableFromArray(table, np.zeros((0, 2)), ["epoch", self._kind.value])
            line.SetAndObserveTableNodeID(table.GetID())
            line.SetXColumnName("epoch")
            line.SetYColumnName(self._kind.value)
            line.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
            line.SetMarkerStyle(
                slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
                if self._kind is CurveKind.LOSS
                else slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle
            )
            line.SetColor(*_COLOURS[architecture])
            self._chart.AddAndObservePlotSeriesNodeID(line.GetID())  # type: ignore[union-attr]
            self._tables[name] = table
            self._lines.append(line)
        if table.GetNumberOfRows() != len(values):
            points = np.array(sorted(values.items()), float)
            slicer.util.updateTableFromArray(table, points, ["epoch", self._kind.value])

    def remove(self) -> None:
        """Takes chart and lines out of the scene and brings the layout back."""
        for node in (self._chart, *self._lines, *self._tables.values()):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._chart, self._kind = None, CurveKind.NONE
        self._tables.clear()
        self._lines.clear()
        if self._layout_before is not None and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(self._layout_before)
        self._layout_before = None
