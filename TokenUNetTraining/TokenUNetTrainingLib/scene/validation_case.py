"""A validation case in the scene: its scan, the prediction, and where that is wrong."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.regions import regions_from_labels
from tokenunet.io.seg_nrrd import write_segmentation
from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

MISSED, WRONG = 1, 2
"""Values of the error map: tumor that was not predicted, and predicted tumor that is none."""
_ERROR_COLORS = {MISSED: ("missed tumor", (0.90, 0.16, 0.22)), WRONG: ("false positive", (0.98, 0.75, 0.10))}
_SEQUENCE = "T1ce"


def error_map(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> NDArray[np.uint8]:
    """`MISSED` and `WRONG` of the whole tumor, and 0.

    Args:
        predicted: labels (D, H, W).
        truth: labels of the same shape.
    """
    whole, true = regions_from_labels(predicted)[0], regions_from_labels(truth)[0]
    errors = np.zeros(true.shape, np.uint8)
    errors[true & ~whole] = MISSED
    errors[whole & ~true] = WRONG
    return errors


def show_case(experiment: Any, architecture: str, fold: int, name: str) -> slicer.vtkMRMLSegmentationNode:
    """Loads a case's T1ce, the prediction as a segmentation's outlines, and the map of its errors over the slices.

    Args:
        experiment: a `tokenunet.training.experiment.experiment.Experiment`.
        architecture: whose prediction.
        fold: in which the case validated.
        name: of the case.

    Returns:
        The segmentation.

    Raises:
        UnreadableImageError: where a file is gone or damaged.
    """
    [case] = [case for case in experiment.dataset_values["cases"] if case["name"] == name]
    prediction = _read(experiment.fold(architecture, fold).predictions / f"{name}.nii.gz")
    predicted = sitk.GetArrayFromImage(prediction)
    truth = sitk.Resample(_read(Path(case["truth"])), prediction, sitk.Transform(), sitk.sitkNearestNeighbor)
    values = sitk.GetArrayFromImage(truth)
    labels = np.zeros(values.shape, np.uint8)
    for value, label in case["label_values"].items():
        labels[values == int(value)] = label
    with tempfile.TemporaryDirectory() as folder:
        scan = _load_scan(case["images"][_SEQUENCE], name, Path(folder))
        path = Path(folder) / f"{name}.seg.nrrd"
        write_segmentation(regions_from_labels(predicted), prediction, path)
        for other in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):  # an earlier patient's
            if other.GetDisplayNode() is not None:
                other.GetDisplayNode().SetVisibility(False)
        for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
            legend.SetVisibility(False)
        segmentation = slicer.util.loadSegmentation(str(path))
        detach_from_file(segmentation)
        segmentation.SetName(f"{name}: {architecture}")
        segmentation.GetDisplayNode().SetVisibility2DFill(False)  # so that the errors are seen
        sitk.WriteImage(_like(prediction, error_map(predicted, labels)), str(Path(folder) / "errors.nrrd"))
        errors = load_volume(Path(folder) / "errors.nrrd", f"{name}: errors of {architecture}")
        detach_from_file(errors)
    _color(errors)
    slicer.util.setSliceViewerLayers(background=scan, foreground=errors, foregroundOpacity=0.6, fit=True)
    return segmentation


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UnreadableImageError(f"{path} cannot be read.", "Check that the file is there and complete.") from error


def _load_scan(source: dict[str, Any], name: str, folder: Path) -> slicer.vtkMRMLScalarVolumeNode:
    """The scan's volume; out of a 4-D file, its own channel."""
    if source["channel"] is None:
        return load_volume(Path(source["path"]), f"{name} {_SEQUENCE}")
    sitk.WriteImage(_read(Path(source["path"]))[..., source["channel"]], str(folder / "scan.nrrd"))
    node = load_volume(folder / "scan.nrrd", f"{name} {_SEQUENCE}")
    detach_from_file(node)
    return node


def _like(image: sitk.Image, array: NDArray[np.uint8]) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def _color(errors: slicer.vtkMRMLScalarVolumeNode) -> None:
    colors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "Token-UNet errors")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(max(_ERROR_COLORS) + 1)
    colors.SetColor(0, "right", 0, 0, 0, 0)
    for value, (name, color) in _ERROR_COLORS.items():
        colors.SetColor(value, name, *color, 1)
    errors.CreateDefaultDisplayNodes()
    display = errors.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, max(_ERROR_COLORS))
    display.SetInterpolate(False)
    display.SetApplyThreshold(True)
    display.SetThreshold(0.5, max(_ERROR_COLORS))
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(errors)
    legend.SetTitleText(_("errors"))
    legend.SetUseColorNamesForLabels(True)
