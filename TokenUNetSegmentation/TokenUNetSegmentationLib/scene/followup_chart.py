"""Curves of a follow-up in Slicer's plot view."""

import numpy as np
import slicer
from slicer.i18n import tr as _
from tokenunet.followup.charts import Chart, Curve

_COLUMNS = ["x", "y"]


class FollowUpChart:
    """Chart over time, created by `show` and removed by `remove`."""

    def __init__(self) -> None:
        self._nodes: list[slicer.vtkMRMLNode] = []

    def show(self, chart: Chart, in_days: bool) -> int:
        """Display a chart in a layout with a plot view, instead of the one before.

        Args:
            chart: Chart of the follow-up.
            in_days: Whether places along the axis of time are days rather than numbers of time points.

        Returns:
            Number of the layout that was displayed before.
        """
        self.remove()
        node = self._add(slicer.vtkMRMLPlotChartNode(), chart.title)
        node.SetTitle(chart.title)
        node.SetXAxisTitle(_("days since the first time point") if in_days else _("number of the time point"))
        node.SetYAxisTitle(chart.unit)
        for curve in chart.curves:
            self._add_curve(node, chart, curve)
        manager = slicer.app.layoutManager()
        before = manager.layout
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(node)
        return before

    def _add_curve(self, chart_node: slicer.vtkMRMLPlotChartNode, chart: Chart, curve: Curve) -> None:
        table = self._add(slicer.vtkMRMLTableNode(), curve.title)
        values = [np.nan if value is None else value for value in curve.values]
        slicer.util.updateTableFromArray(table, np.array([chart.places, values]).T, _COLUMNS)
        series = slicer.vtkMRMLPlotSeriesNode()  # complete before it enters the scene: plot views update at once
        series.SetXColumnName(_COLUMNS[0])
        series.SetYColumnName(_COLUMNS[1])
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleNone if curve.is_threshold else series.MarkerStyleCircle)
        series.SetLineStyle(series.LineStyleDash if curve.is_threshold else series.LineStyleSolid)
        series.SetColor(*curve.color)
        series.SetAndObserveTableNodeID(table.GetID())
        self._add(series, curve.title)
        chart_node.AddAndObservePlotSeriesNodeID(series.GetID())

    def _add(self, node: slicer.vtkMRMLNode, name: str) -> slicer.vtkMRMLNode:
        node.SetName(name)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        self._nodes.append(node)
        return node

    def remove(self) -> None:
        """Remove the chart and its curves from the scene."""
        for node in self._nodes:
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._nodes.clear()
