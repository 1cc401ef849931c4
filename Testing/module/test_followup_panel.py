"""Time points compared in the panel: from a folder and from the scene, in views side by side and in a chart."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
import SimpleITK as sitk
from followup.time_point_results import brain_scan, write_result_folder
from module.driving import foreground, node_ids, wait_until
from tokenunet.core.events import ErrorEvent, Event, ProgressEvent, ResultEvent, WarningEvent
from tokenunet.followup.pipeline import follow_up
from tokenunet.followup.request import FollowUpRequest


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the results of a follow-up."""
    folder = tmp_path_factory.mktemp("follow-up")
    motion = sitk.Euler3DTransform((0.0, -120.0, 80.0), 0.02, 0.0, 0.03, (2.0, -2.0, 1.0))
    write_result_folder(folder / "patient" / "2020-01-01", 3)
    write_result_folder(folder / "patient" / "2020-03-01", 4, motion=motion)
    follow_up(FollowUpRequest(folder / "patient", folder / "out"))
    return folder / "out"


class StandInWorker:
    """Hands out the results of an earlier follow-up, and keeps what it was asked for."""

    compared: Path
    arguments: Sequence[str] = ()
    exported: tuple[str, ...] = ()
    inputs: Sequence[Mapping[str, Any]] = ()
    failure: ErrorEvent | None = None
    exit_code = 0

    def __init__(self, arguments: Sequence[str], _folder: Path) -> None:
        type(self).arguments = arguments
        patient = Path(arguments[1])
        type(self).inputs = [json.loads(path.read_text())["inputs"] for path in sorted(patient.glob("*/run.json"))]
        type(self).exported = tuple(sorted(p.relative_to(patient).as_posix() for p in patient.glob("*/*")))
        self._output = Path(arguments[arguments.index("--output") + 1])

    def events_until_end(self) -> Iterator[list[Event]]:
        yield [ProgressEvent("align", 0.5, None)]
        if self.failure is not None:
            yield [self.failure]
        shutil.copytree(self.compared, self._output, dirs_exist_ok=True)
        yield [WarningEvent("cavity", "There is a <cavity>."), ResultEvent(str(self._output), {})]

    def log(self) -> str:
        return ""

    def close(self) -> None:
        pass


@pytest.fixture
def section(module: host.LoadedModule, compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The panel's section with a folder chosen, and a stand-in for the worker."""
    from TokenUNetSegmentationLib.logic.followup import FollowUpRun
    from TokenUNetSegmentationLib.panels import followup

    worker = type("Worker", (StandInWorker,), {"compared": compared})
    monkeypatch.setattr(followup, "FollowUpRun", lambda: FollowUpRun(worker))
    panel = module.widget.followUpPanel
    module.widget.runPanel.installation.missing = []
    panel.worker = worker
    panel.ui = panel._ui
    panel.ui.followUpSection.collapsed = False
    (tmp_path / "anna").mkdir()
    panel.ui.followUpPatient.setCurrentPath(str(tmp_path / "anna"))
    return panel


def compare(section: Any) -> None:
    section.ui.followUpButton.click()
    wait_until(lambda: not section.running)


def test_follow_up_is_compared_displayed_and_removed(section: Any, module: host.LoadedModule, app: Any) -> None:
    import slicer

    before, layout = node_ids(), app.layoutManager().layout
    ui = section.ui
    assert ui.followUpOutput.currentPath.endswith("anna_follow-up")
    ui.followUpOrder.setText("2020-01-01, 2020-03-01")
    compare(section)
    words = list(section.worker.arguments)
    assert words[words.index("--order") + 1 :][:2] == ["2020-01-01", "2020-03-01"]
    assert "There is a &lt;cavity&gt;." in ui.followUpMessage.text
    rows = [[ui.followUpTable.item(r, c).text() for c in range(5)] for r in range(ui.followUpTable.rowCount)]
    assert [row[1] for row in rows] == ["WT", "TC", "ET"]
    assert float(rows[0][2].removeprefix("≈ ")) > 10
    for number, volume in enumerate(section.nodes.volumes, start=1):
        logic = app.layoutManager().sliceWidget(f"TokenUNetOverlay{number}").sliceLogic()
        assert logic.GetBackgroundLayer().GetVolumeNode() is volume
        display = section.nodes.segmentations[number - 1].GetDisplayNode()
        assert list(display.GetViewNodeIDs()) == [logic.GetSliceNode().GetID()]
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(section.nodes.segmentations[0], "WT", section.nodes.volumes[0])
    report = section.nodes.report["time_points"][0]["volumes_ml"]["WT"]
    assert (voxels > 0).sum() * 0.064 == pytest.approx(report)
    ui.followUpMapBox.setCurrentIndex(1)
    assert foreground("TokenUNetOverlay2") is section.nodes.maps[0]
    ui.followUpViewBox.setCurrentIndex(3)
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    assert chart.GetYAxisTitle() == "mm²"
    threshold = chart.GetNthPlotSeriesNode(1)
    values = threshold.GetTableNode().GetTable().GetColumnByName("y")
    sums = [point["sum_of_products_mm2"] for point in section.nodes.report["time_points"]]
    assert [values.GetValue(i) for i in range(2)] == pytest.approx([sums[0] / 2] * 2)
    assert threshold.GetLineStyle() == threshold.LineStyleDash
    ui.followUpViewBox.setCurrentIndex(0)
    assert app.layoutManager().layout == layout
    assert not slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    section.nodes.remove()
    left = [slicer.mrmlScene.GetNodeByID(identifier) for identifier in node_ids() - before]
    assert not [node for node in left if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSegmentationNode")]


def test_follow_up_is_restored_with_a_saved_scene(section: Any, tmp_path: Path, compared: Path) -> None:
    import slicer

    def cells() -> list[list[str]]:
        table = section.ui.followUpTable
        return [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]

    compare(section)
    before = cells()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    wait_until(lambda: section.nodes is None)
    assert not section.ui.followUpResult.visible
    slicer.util.loadScene(path, {"clear": True})
    wait_until(lambda: section.nodes is not None)
    assert cells() == before
    assert section.nodes.output == tmp_path / "anna_follow-up"
    section.ui.followUpViewBox.setCurrentIndex(1)
    composite = slicer.app.layoutManager().sliceWidget("TokenUNetOverlay2").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == section.nodes.volumes[1].GetID()
    section.ui.followUpViewBox.setCurrentIndex(0)


def test_follow_up_that_fails_leaves_the_scene_as_it_was(section: Any) -> None:
    before = node_ids()
    section.worker.failure = ErrorEvent("time_points", "The date of week-0 is not known.", "Give the order.")
    compare(section)
    assert "The date of week-0 is not known." in section.ui.followUpMessage.text
    assert node_ids() == before
    assert section.nodes is None


def test_scene_time_points_of_one_name_get_names_of_their_own(
    module: host.LoadedModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TokenUNetSegmentationLib.logic import followup

    results = []
    for name in ("T1ce", "t1ce", "T1ce 2", "T1ce"):
        volume = type("Volume", (), {"GetName": lambda _self, name=name: name})()
        results.append(type("Result", (), {"reference": volume})())
    monkeypatch.setattr(followup, "all_results", lambda: results)
    names = [point.name for point in followup.scene_time_points()]
    assert names == ["T1ce", "t1ce 2", "T1ce 2 2", "T1ce 3"]


def test_follow_up_of_results_in_the_scene_exports_them(
    section: Any, module: host.LoadedModule, tmp_path: Path
) -> None:
    import slicer
    from TokenUNetSegmentationLib.logic.followup import scene_time_points
    from TokenUNetSegmentationLib.scene.results import REFERENCE_ROLE, RESULT_ATTRIBUTE
    from TokenUNetSegmentationLib.scene.segmentation_file import add_regions
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    ui = section.ui
    ui.followUpSceneBox.setChecked(True)
    assert ui.followUpButton.toolTip == "Segment two or more time points first."
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(brain_scan(), path)
    for name in ("early", "late"):
        volume = load_volume(path, name)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} tumor")
        node.CreateDefaultDisplayNodes()
        node.SetAttribute(RESULT_ATTRIBUTE, "1")
        node.SetNodeReferenceID(REFERENCE_ROLE, volume.GetID())
        size = brain_scan().GetSize()
        mask = np.zeros(size[::-1], np.uint8)
        mask[10:12, 20:30, 20:25] = 1
        image = sitk.Compose([sitk.GetImageFromArray(mask)] * 3)
        image.CopyInformation(brain_scan())
        list(add_regions(node, image))
    assert [point.name for point in scene_time_points()] == ["early", "late"]
    ui.followUpSceneBox.setChecked(False)
    ui.followUpSceneBox.setChecked(True)
    assert ui.followUpOrder.text == "early, late"
    ui.followUpOrder.setText("late, early")
    compare(section)
    words = list(section.worker.arguments)
    assert words[words.index("--order") + 1 :][:2] == ["late", "early"]
    files = ("labels.nii.gz", "run.json", "scan.nrrd")
    assert section.worker.exported == tuple(f"{name}/{file}" for name in ("early", "late") for file in files)
    assert [{name: scan["path"] for name, scan in inputs.items()} for inputs in section.worker.inputs] == [
        {"T1ce": "scan.nrrd"}
    ] * 2
    assert not Path(section.worker.arguments[1]).exists()
