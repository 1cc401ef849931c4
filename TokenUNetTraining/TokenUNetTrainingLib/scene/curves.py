"""Plots of loss and Dice of each fold, and box plots of the cases' Dice, in Slicer's plot view."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.regions import REGIONS
from tokenunet.networks.registry import color_of, title_of

if TYPE_CHECKING:
    from tokenunet.training.experiment.progress import FoldProgress

_OTHER_COLOR = "#737373"
_BOX_HALF_WIDTH = 0.06
_BOX_DISTANCE = 0.16
_COLUMNS = ["x", "y"]


class CurveKind(Enum):
    """Kind of chart."""

    NONE = "none"
    LOSS = "loss"
    DICE = "dice"
    BOXES = "boxes"

    def titles(self) -> tuple[str, str, str]:
        """Return the titles of the chart, its x axis and its y axis."""
        regions = "    ".join(f"{number}: {region}" for number, region in enumerate(REGIONS, 1))
        return {
            CurveKind.LOSS: (_("Training: loss"), _("epoch"), _("loss")),
            CurveKind.DICE: (_("Training: validation Dice"), _("epoch"), _("mean Dice")),
            CurveKind.BOXES: (_("Dice of the validation cases: worst, quartiles, best"), regions, _("Dice")),
        }[self]


@dataclass(frozen=True)
class Line:
    """Line of a chart.

    Attributes:
        name: Name in the legend.
        architecture: Name of the architecture, which determines the color.
        points: Coordinates (N, 2), float; a row of NaN interrupts the line.
    """

    name: str
    architecture: str
    points: NDArray[np.float64]


def chart_lines(folds: Sequence["FoldProgress"], kind: CurveKind) -> Iterator[Line]:
    """Iterate over the lines of a chart, without those that have no values yet.

    Args:
        folds: Progress of each fold.
        kind: Kind of chart.
    """
    if kind is CurveKind.BOXES:
        yield from _boxes(folds)
        return
    for fold in folds:
        dice = {epoch: scores["mean"] for epoch, scores in fold.dice.items()}
        if values := fold.losses if kind is CurveKind.LOSS else dice:
            name = _("{architecture}, fold {fold}").format(
                architecture=title_of(fold.folder.architecture), fold=fold.folder.fold
            )
            yield Line(name, fold.folder.architecture, np.array(sorted(values.items()), float))


def _boxes(folds: Sequence["FoldProgress"]) -> Iterator[Line]:
    """Iterate over box plots of the finished folds: one line per architecture that outlines a box for each region."""
    architectures = list(dict.fromkeys(fold.folder.architecture for fold in folds))
    for place, architecture in enumerate(architectures):
        finished = [fold.folder for fold in folds if fold.folder.architecture == architecture and fold.folder.finished]
        cases = [case for fold in finished for case in json.loads(fold.metrics.read_text(encoding="utf-8"))["cases"]]
        if cases:
            offset = _BOX_DISTANCE * (place - (len(architectures) - 1) / 2)
            boxes = [
                box_outline(number + offset, [case["dice"][region] for case in cases])
                for number, region in enumerate(REGIONS, 1)
            ]
            yield Line(title_of(architecture), architecture, np.concatenate(boxes))


def box_outline(x: float, values: Sequence[float]) -> NDArray[np.float64]:
    """Return the outline of a box plot: minimum, quartiles, median and maximum.

    Args:
        x: Position of the box.
        values: Values to summarize; at least one.

    Returns:
        Coordinates (N, 2), ended by a row of NaN.
    """
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100])
    left, right = x - _BOX_HALF_WIDTH, x + _BOX_HALF_WIDTH
    outline = [(x, low), (x, first), (right, first), (right, middle), (left, middle), (right, middle), (right, third)]
    outline += [(x, third), (x, high), (x, third), (left, third), (left, first), (x, first), (np.nan, np.nan)]
    return np.array(outline)


class Curves:
    """Chart and its lines in the scene, created by the first `show` and removed by `remove`."""

    def __init__(self) -> None:
        self._chart: slicer.vtkMRMLPlotChartNode | None = None
        self._tables: dict[str, slicer.vtkMRMLTableNode] = {}
        self._points: dict[str, NDArray[np.float64]] = {}
        self._layout_before: int | None = None
        self._series: list[slicer.vtkMRMLPlotSeriesNode] = []
        self._kind = CurveKind.NONE

    def show(self, folds: Sequence["FoldProgress"], kind: CurveKind) -> None:
        """Update the chart, in a layout with a plot view.

        Args:
            folds: Progress of each fold.
            kind: Kind of chart; `CurveKind.NONE` removes the chart.
        """
        if kind is not self._kind:
            self.remove()
            self._kind = kind
            if kind is not CurveKind.NONE:
                self._add_chart()
        if self._chart is not None:
            for line in chart_lines(folds, kind):
                self._draw(line)

    def _add_chart(self) -> None:
        self._chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Token-UNet training")
        title, x, y = self._kind.titles()
        self._chart.SetTitle(title)
        self._chart.SetXAxisTitle(x)
        self._chart.SetYAxisTitle(y)
        self._chart.SetSaveWithScene(False)
        layout = slicer.app.layoutManager()
        if layout is not None:
            self._layout_before = layout.layout
            layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(self._chart)

    def _draw(self, line: Line) -> None:
        if line.name not in self._tables:
            self._add_series(line)
        elif np.array_equal(self._points[line.name], line.points, equal_nan=True):
            return
        slicer.util.updateTableFromArray(self._tables[line.name], line.points, _COLUMNS)
        self._points[line.name] = line.points

    def _add_series(self, line: Line) -> None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", line.name)
        series = slicer.vtkMRMLPlotSeriesNode()  # added to the scene when complete: plot views update at once
        series.SetName(line.name)
        for node in (table, series):
            node.SetSaveWithScene(False)
        slicer.util.updateTableFromArray(table, line.points, _COLUMNS)
        series.SetXColumnName(_COLUMNS[0])
        series.SetYColumnName(_COLUMNS[1])
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        few = self._kind is CurveKind.DICE  # a single validation has no line, only a marker
        series.SetMarkerStyle(
            slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle if few else slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
        )
        color = color_of(line.architecture, _OTHER_COLOR)
        series.SetColor(*(value / 255 for value in bytes.fromhex(color[1:])))
        series.SetAndObserveTableNodeID(table.GetID())
        slicer.mrmlScene.AddNode(series)
        self._chart.AddAndObservePlotSeriesNodeID(series.GetID())  # type: ignore[union-attr]
        self._tables[line.name] = table
        self._series.append(series)

    def remove(self) -> None:
        """Remove chart and lines from the scene and restore the previous layout."""
        for node in (self._chart, *self._series, *self._tables.values()):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._chart, self._kind = None, CurveKind.NONE
        self._tables.clear()
        self._points.clear()
        self._series.clear()
        if self._layout_before is not None and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(self._layout_before)
        self._layout_before = None
