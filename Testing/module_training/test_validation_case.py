"""A validation case in the scene: scan, prediction, and what is wrong with it."""

from pathlib import Path
from typing import Any

import host
import numpy as np
import SimpleITK as sitk
import vtk
from module.driving import foreground
from tokenunet.data import read_dataset
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.summary import write_summary
from training_fixtures import fabricated_experiment

SHIFT = 4  # voxels along x


def predicted_experiment(folder: Path, patients: Path) -> Experiment:
    """An experiment of one network that finds every tumor a little too far to the side."""
    experiment = fabricated_experiment(folder, ("unet",), 2, dataset=read_dataset(patients))
    write_summary(experiment)
    for case in experiment.dataset.cases:
        truth = sitk.ReadImage(str(case.truth))
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(truth), SHIFT, axis=2))
        moved.CopyInformation(truth)
        for job in experiment.jobs():
            if case.name in experiment.splits.folds[job.fold].validation:
                job.predictions.mkdir(exist_ok=True)
                sitk.WriteImage(moved, str(job.predictions / f"{case.name}.nii.gz"))
    return experiment


def test_a_case_is_opened_from_the_table(module: host.LoadedModule, patients: Path, tmp_path: Path, app: Any) -> None:
    import slicer

    experiment = predicted_experiment(tmp_path / "experiment", patients)
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    ui.casesTable.selectRow(2)
    ui.caseButton.click()
    name = ui.casesTable.item(2, 0).text()
    [segmentation] = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetName() == f"{name}: unet"
    assert not segmentation.GetDisplayNode().GetVisibility2DFill()
    errors = foreground("Red")
    assert errors.GetName() == f"{name}: errors of unet"
    [case] = [case for case in experiment.dataset.cases if case.name == name]
    true = sitk.GetArrayFromImage(sitk.ReadImage(str(case.truth))) > 0
    found = np.roll(true, SHIFT, axis=2)
    shown = slicer.util.arrayFromVolume(errors)
    assert ((shown == 1) == (true & ~found)).all(), "missed"
    assert ((shown == 2) == (found & ~true)).all(), "no tumor"
    middle = np.argwhere(shown == 1).mean(axis=0).round()[::-1]
    matrix = vtk.vtkMatrix4x4()
    errors.GetIJKToRASMatrix(matrix)
    app.layoutManager().sliceWidget("Red").mrmlSliceNode().JumpSlice(*matrix.MultiplyPoint((*middle, 1))[:3])
    pixels = app.layoutManager().pixels("Red").astype(int)
    assert ((pixels[..., 0] - pixels[..., 2]) > 60).sum() > 100, "red and yellow are seen over the gray scan"


def test_a_prediction_that_is_gone_is_said_in_a_sentence(
    module: host.LoadedModule, patients: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    import slicer

    experiment = predicted_experiment(tmp_path / "experiment", patients)
    for job in experiment.jobs():
        for path in job.predictions.iterdir():
            path.unlink()
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    said: list[str] = []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, *_, **__: said.append(text))
    ui.casesTable.selectRow(0)
    ui.caseButton.click()
    assert "cannot be read" in said[0]
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_case_hides_the_one_before(module: host.LoadedModule, patients: Path, tmp_path: Path) -> None:
    import slicer

    experiment = predicted_experiment(tmp_path / "experiment", patients)
    ui = module.widget.ui
    ui.experimentPath.setCurrentPath(str(experiment.folder))
    for row in (0, 1):
        ui.casesTable.selectRow(row)
        ui.caseButton.click()
    first, second = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not first.GetDisplayNode().GetVisibility()
    assert second.GetDisplayNode().GetVisibility()
    hidden, shown = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert not hidden.GetVisibility()
    assert shown.GetVisibility()
    assert shown.GetUseColorNamesForLabels()
    colors = shown.GetPrimaryDisplayNode().GetColorNode()
    assert [colors.GetColorName(value) for value in (1, 2)] == ["missed tumor", "false positive"]
