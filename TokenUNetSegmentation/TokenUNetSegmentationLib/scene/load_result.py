"""Loading of the output folder of ``tokenunet segment`` into the scene."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.regions import RegionName, labels_from_regions
from tokenunet.core.sequences import SequenceName
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES, LabelName
from tokenunet.io.overlay_files import list_overlays
from vtkmodules.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.alignment import load_transform
from TokenUNetSegmentationLib.scene.nodes import display_node, remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.overlays import create_color_table, load_overlay
from TokenUNetSegmentationLib.scene.results import (
    COLORS_ROLE,
    INPUT_ROLE,
    LABELS_ROLE,
    OVERLAY_ROLE,
    REFERENCE_ROLE,
    REPORT_ROLE,
    RESULT_ATTRIBUTE,
    TRANSFORM_ROLE,
    VOLUME_TABLE_ROLE,
    PatientResult,
    all_results,
    create_result_folder,
    remove_result,
)
from TokenUNetSegmentationLib.scene.review import add_candidates
from TokenUNetSegmentationLib.scene.segmentation_file import add_regions, read_regions

REGION_COLUMN, VOLUME_COLUMN = "Region", "Volume"
RANGE_COLUMNS = ("Smallest over folds", "Largest over folds")
_OUTERMOST_PARTS: tuple[tuple[RegionName, LabelName], ...] = (("ET", "ET"), ("TC", "NCR"), ("WT", "ED"))
"""Regions from the innermost to the outermost, each with the exclusive label of the part outside the inner ones."""


def build_result(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode], reference: SequenceName, output: Path
) -> PatientResult:
    """Load the result of a run into the scene: segmentation, overlays, volume table and run report.

    The nodes are placed in a folder of the patient next to the reference volume. The scene does not depend on the
    output folder afterwards. If a file is missing in the output folder, the scene is left unchanged.

    Args:
        inputs: Volume nodes that were segmented, by sequence.
        reference: Sequence on whose grid the segmentation is.
        output: Output folder of ``tokenunet segment``.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
    """
    *_, result = build_steps(inputs, reference, output)
    assert result is not None
    return result


def build_steps(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode], reference: SequenceName, output: Path
) -> Iterator[PatientResult | None]:
    """Load a result as `build_result` does, but in short steps that keep the window responsive.

    Yields:
        None while the segmentation is read, then the result, with more nodes after each step. Closing the iterator
        before its end removes them from the scene.
    """
    volume = inputs[reference]
    number = _next_number(volume)
    name = f"{volume.GetName()} tumor{number}"
    regions = yield from read_regions(output / "segmentation.seg.nrrd")
    result = PatientResult(_add_segmentation(name, volume))
    try:
        result.segmentation.SetAttribute(RESULT_ATTRIBUTE, "1")
        result.segmentation.SetNodeReferenceID(REFERENCE_ROLE, volume.GetID())
        for sequence, node in inputs.items():
            result.segmentation.SetNodeReferenceID(INPUT_ROLE + sequence, node.GetID())
        folder = create_result_folder(_parent_item(volume), f"{volume.GetName()} Token-UNet{number}")
        _put_into(folder, result.segmentation)
        for _region in add_regions(result.segmentation, regions):
            yield result
        _add_report(result, output / "run.json", folder)
        for _overlay in _add_overlays(result, output, folder):
            yield result
        add_candidates(result, output)
        yield result
        for sequence in result.report.get("alignments", {}):
            _add_transform(result, sequence, output / "transforms" / f"{sequence}.tfm", folder)
        result.remember_place()
        for _region in volume_table_steps(result):
            yield result
    except BaseException:
        remove_result(result)
        raise
    yield result


def volume_table_steps(result: PatientResult) -> Iterator[None]:
    """Update the result's volume table with the current segment volumes in ml; create the table if it is missing.

    Proceeds from the innermost to the outermost region, with a step after each.

    Raises:
        MissingNodeError: If the reference volume is gone.
    """
    reference = result.require_reference()
    inner = np.zeros(slicer.util.arrayFromVolume(reference).shape, bool)
    regions: list[tuple[RegionName | LabelName, str, int]] = []
    parts: list[tuple[RegionName | LabelName, str, int]] = []
    for region_name, label_name in _OUTERMOST_PARTS:
        region = result.region(region_name)
        regions.insert(0, (region_name, REGION_STYLES[region_name].title, int(np.count_nonzero(region))))
        parts.append((label_name, LABEL_STYLES[label_name].title, int(np.count_nonzero(region & ~inner))))
        inner |= region
        yield
    unclaimed = result.report.get("not_segmented", ())
    rows = [row for row in regions + parts[1:] if row[0] not in unclaimed]
    ml_per_voxel = float(np.prod(reference.GetSpacing())) / 1000
    ranges = result.report.get("volumes_range_ml", {})
    names, volumes = vtk.vtkStringArray(), vtk.vtkDoubleArray()
    ends = [vtk.vtkDoubleArray() for _ in RANGE_COLUMNS] if ranges else []
    titles = (REGION_COLUMN, VOLUME_COLUMN, *RANGE_COLUMNS)
    for column, title in zip((names, volumes, *ends), titles, strict=False):
        column.SetName(title)
    for name, title, voxels in rows:
        names.InsertNextValue(title)
        volumes.InsertNextValue(round(float(voxels) * ml_per_voxel, 3))
        for column, end in zip(ends, ranges.get(name, ()), strict=True):
            column.InsertNextValue(end)
    table = result.volume_table
    if table is None:
        table = _add_node("vtkMRMLTableNode", f"{reference.GetName()} tumor volumes")
        result.segmentation.SetNodeReferenceID(VOLUME_TABLE_ROLE, table.GetID())
        _put_into(result.folder_item, table)
    was_modifying = table.StartModify()
    table.RemoveAllColumns()
    table.AddColumn(names)
    table.AddColumn(volumes)
    for column in ends:
        table.AddColumn(column)
        table.SetColumnUnitLabel(column.GetName(), "ml")
        table.SetColumnDescription(column.GetName(), _("Range of the ensemble members' volumes, before corrections"))
    table.SetColumnUnitLabel(VOLUME_COLUMN, "ml")
    table.SetColumnDescription(VOLUME_COLUMN, _("Volume of the segment in milliliters"))
    table.EndModify(was_modifying)


def show_exclusive_labels(result: PatientResult, visible: bool) -> slicer.vtkMRMLSegmentationNode:
    """Display exclusive labels (necrotic core, edema, enhancing tumor) instead of the nested regions, or the regions.

    The labels are recomputed from the current regions each time they are displayed. They have no surfaces yet, which
    `visible_surface_steps` creates.

    Args:
        result: Patient.
        visible: Whether to display the labels.

    Returns:
        Segmentation node of the labels; None if they have never been displayed.

    Raises:
        MissingNodeError: If the reference volume is gone.
    """
    labels = result.exclusive_labels
    if visible:
        if labels is not None:
            remove_node(labels)
        labels = _add_exclusive_labels(result)
        labels.GetDisplayNode().SetOpacity2DFill(display_node(result.segmentation).GetOpacity2DFill())
        labels.GetDisplayNode().SetVisibility3D(False)
    if labels is not None:
        display_node(labels).SetVisibility(visible)
    display_node(result.segmentation).SetVisibility(not visible)
    return labels


def _add_exclusive_labels(result: PatientResult) -> slicer.vtkMRMLSegmentationNode:
    reference = result.require_reference()
    labels = _oriented_image(labels_from_regions(result.regions()), reference)
    node = _add_node("vtkMRMLSegmentationNode", f"{reference.GetName()} tumor labels")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    for name, style in LABEL_STYLES.items():
        segment = slicer.vtkSegment()
        segment.SetName(style.title)
        segment.SetColor(*style.color)
        segment.SetTerminology(style.terminology_entry)
        segment.SetLabelValue(style.label)
        # one labelmap for all three: they never overlap
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), labels)
        node.GetSegmentation().AddSegment(segment, name)
    result.segmentation.SetNodeReferenceID(LABELS_ROLE, node.GetID())
    _put_into(result.folder_item, node)
    return node


def _oriented_image(
    voxels: NDArray[np.uint8], reference: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkOrientedImageData:
    ijk_to_ras = vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(ijk_to_ras)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*reversed(voxels.shape))
    image.SetImageToWorldMatrix(ijk_to_ras)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    return image


def _add_segmentation(name: str, reference: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    node = _add_node("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    return node


def _add_overlays(result: PatientResult, output: Path, folder: int) -> Iterator[slicer.vtkMRMLScalarVolumeNode]:
    """Load the overlays, each group into a folder of its own and with color tables of its own."""
    for files in list_overlays(result.report, output):
        group_folder = 0
        tables: dict[tuple[str, bool], slicer.vtkMRMLColorTableNode] = {}
        for number, (overlay, path) in enumerate(zip(files.group.overlays, files.paths, strict=True), start=1):
            key = overlay.colormap, overlay.signed
            if key not in tables:
                tables[key] = create_color_table(f"{files.group.title} colors", *key)
                result.segmentation.AddNodeReferenceID(COLORS_ROLE, tables[key].GetID())
            node = load_overlay(path, overlay, files.group, number, tables[key])
            result.segmentation.AddNodeReferenceID(OVERLAY_ROLE, node.GetID())
            group_folder = group_folder or create_result_folder(folder, files.group.title)
            _put_into(group_folder, node)
            yield node


def _add_transform(result: PatientResult, sequence: SequenceName, path: Path, folder: int) -> None:
    node = load_transform(path, f"{sequence} to {result.require_reference().GetName()}")
    result.segmentation.SetNodeReferenceID(TRANSFORM_ROLE + sequence, node.GetID())
    _put_into(folder, node)


def _add_report(result: PatientResult, path: Path, folder: int) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableImageError(
            _("{file} cannot be read.").format(file=path), _("Segment the patient again.")
        ) from error
    node = _add_node("vtkMRMLTextNode", f"{result.require_reference().GetName()} run report")
    node.SetText(text)
    result.segmentation.SetNodeReferenceID(REPORT_ROLE, node.GetID())
    _put_into(folder, node)


def _next_number(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return the suffix that makes the name of a volume's next result unique; empty for its first."""
    names = {result.segmentation.GetName() for result in all_results() if result.reference is volume}
    numbers = itertools.chain([""], (f" {number}" for number in itertools.count(2)))
    return next(number for number in numbers if f"{volume.GetName()} tumor{number}" not in names)


def _add_node(class_name: str, name: str = "") -> slicer.vtkMRMLNode:
    return slicer.mrmlScene.AddNewNodeByClass(class_name, name)


def _parent_item(volume: slicer.vtkMRMLVolumeNode) -> int:
    hierarchy = subject_hierarchy()
    item = hierarchy.GetItemByDataNode(volume)
    return hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()


def _put_into(folder: int, node: slicer.vtkMRMLNode) -> None:
    subject_hierarchy().CreateItem(folder, node)
