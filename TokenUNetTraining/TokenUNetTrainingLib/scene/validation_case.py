"""Display of a validation case: scan, prediction and error map."""

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
"""Values of the error map: false negatives and false positives."""
_ERROR_COLORS = {MISSED: (0.90, 0.16, 0.22), WRONG: (0.98, 0.75, 0.10)}
_SEQUENCE = "T1ce"


def error_map(predicted: NDArray[np.integer], ground_truth: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Compare predicted and ground truth whole tumor.

    Args:
        predicted: Predicted labels (D, H, W).
        ground_truth: Ground truth labels (D, H, W).

    Returns:
        Array (D, H, W) of `MISSED`, `WRONG` and, where both agree, 0.
    """
    predicted_tumor, true_tumor = regions_from_labels(predicted)[0], regions_from_labels(ground_truth)[0]
    errors = np.zeros(true_tumor.shape, np.uint8)
    errors[true_tumor & ~predicted_tumor] = MISSED
    errors[predicted_tumor & ~true_tumor] = WRONG
    return errors


def show_case(experiment: Any, architecture: str, fold: int, name: str) -> slicer.vtkMRMLSegmentationNode:
    """Display a case's T1ce with the outlines of the prediction and the error map as overlay.

    Args:
        experiment: A `tokenunet.training.experiment.experiment.Experiment`.
        architecture: Architecture that made the prediction.
        fold: Fold in which the case was used for validation.
        name: Name of the case.

    Returns:
        Segmentation node of the prediction.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
    """
    [case] = [case for case in experiment.dataset_values["cases"] if case["name"] == name]
    prediction = _read(experiment.fold(architecture, fold).predictions / f"{name}.nii.gz")
    predicted = sitk.GetArrayFromImage(prediction)
    reference = sitk.Resample(_read(Path(case["truth"])), prediction, sitk.Transform(), sitk.sitkNearestNeighbor)
    values = sitk.GetArrayFromImage(reference)
    labels = np.zeros(values.shape, np.uint8)
    for value, label in case["label_values"].items():
        labels[values == int(value)] = label
    with tempfile.TemporaryDirectory() as folder:
        scan = _load_scan(case["images"][_SEQUENCE], name, Path(folder))
        path = Path(folder) / f"{name}.seg.nrrd"
        write_segmentation(regions_from_labels(predicted), prediction, path)
        for other in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):  # of patients displayed earlier
            if other.GetDisplayNode() is not None:
                other.GetDisplayNode().SetVisibility(False)
        for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
            legend.SetVisibility(False)
        segmentation = slicer.util.loadSegmentation(str(path))
        detach_from_file(segmentation)
        segmentation.SetName(f"{name}: {architecture}")
        segmentation.GetDisplayNode().SetVisibility2DFill(False)  # a fill would hide the errors
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
        raise UnreadableImageError(
            _("{file} cannot be read.").format(file=path), _("Check that the file is there and complete.")
        ) from error


def _load_scan(source: dict[str, Any], name: str, folder: Path) -> slicer.vtkMRMLScalarVolumeNode:
    """Load the scan as a volume node, or its channel of a 4-D file."""
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
    colors.SetColor(0, _("correct"), 0, 0, 0, 0)
    for value, name in ((MISSED, _("missed tumor")), (WRONG, _("false positive"))):
        colors.SetColor(value, name, *_ERROR_COLORS[value], 1)
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
