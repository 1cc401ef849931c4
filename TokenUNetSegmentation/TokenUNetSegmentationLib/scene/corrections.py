"""Corrections of results: noticed by comparison, nested, measured, recorded in the run report, and undone."""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.edits import EDITED_TAG, EDITS, edited_regions
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGION_TITLES, REGIONS, RegionName
from tokenunet.measurement import measure

from TokenUNetSegmentationLib.scene.displays import visible_surface_steps
from TokenUNetSegmentationLib.scene.editing import nested_after_edit
from TokenUNetSegmentationLib.scene.load_result import show_exclusive_labels, volume_table_steps
from TokenUNetSegmentationLib.scene.nodes import display_node, remove_node
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import grid_of

_MOST_UNDONE = 10


@dataclass(frozen=True)
class _Regions:
    """Regions in an eighth of their memory.

    Attributes:
        shape: Shape of all three, (3, D, H, W).
        bits: Their voxels, packed.
    """

    shape: tuple[int, ...]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, regions: NDArray[np.bool_]) -> "_Regions":
        return cls(regions.shape, np.packbits(regions))

    def unpacked(self) -> NDArray[np.bool_]:
        return np.unpackbits(self.bits, count=int(np.prod(self.shape))).reshape(self.shape).view(np.bool_)


@dataclass
class _History:
    """Known regions of a result.

    Attributes:
        now: Regions when they were last looked at.
        earlier: Regions before each correction that can be undone.
    """

    now: _Regions
    earlier: list[_Regions] = field(default_factory=list)


class Corrections:
    """Corrections of all results in the scene, by any module or script."""

    def __init__(self) -> None:
        self._histories: dict[str, _History] = {}

    def knows(self, result: PatientResult) -> bool:
        """Return whether corrections of a result would be noticed."""
        return result.segmentation.GetID() in self._histories

    def can_undo(self, result: PatientResult) -> bool:
        """Return whether a result has a correction that can be undone."""
        return self.knows(result) and bool(self._histories[result.segmentation.GetID()].earlier)

    def forget(self) -> None:
        """Forget all results: the scene is being closed."""
        self._histories.clear()

    def notice_steps(self, result: PatientResult) -> Iterator[None]:
        """Look for a correction since the last call, and update all that depends on the regions, in short steps.

        The first call for a result remembers its regions. A correction is made nested; volume table, diameters and
        run report are measured again; report and corrected segments say what was changed.

        Raises:
            MissingNodeError: If the reference volume is gone.
        """
        edited = yield from _read_regions(result)
        history = self._histories.get(result.segmentation.GetID())
        if history is None or history.now.shape != edited.shape:
            self._histories[result.segmentation.GetID()] = _History(_Regions.of(edited))
            yield from volume_table_steps(result)
            return
        before = history.now.unpacked()
        yield
        if np.array_equal(before, edited):
            return
        nested = nested_after_edit(before, edited)
        yield
        yield from _write_regions(result, nested, instead_of=edited)
        history.earlier = [*history.earlier[1 - _MOST_UNDONE :], history.now]
        history.now = _Regions.of(nested)
        grid = grid_of(result.require_reference())
        edits = [*result.report.get(EDITS, ()), _edit(before, nested, grid)]
        yield
        yield from _update(result, nested, grid, edits)

    def undo_steps(self, result: PatientResult) -> Iterator[None]:
        """Undo the last correction of a result, in short steps.

        Raises:
            MissingNodeError: If the reference volume is gone.
        """
        history = self._histories[result.segmentation.GetID()]
        edited = yield from _read_regions(result)
        regions = history.earlier[-1].unpacked()
        yield from _write_regions(result, regions, instead_of=edited)
        history.now = history.earlier.pop()
        yield from _update(result, regions, grid_of(result.require_reference()), result.report.get(EDITS, [])[:-1])


def describe_edit(edit: Mapping[str, Any]) -> str:
    """Return a correction of the run report as a sentence."""
    time = datetime.fromisoformat(edit["time"]).astimezone(UTC)
    changes = []
    for name, change in edit["regions"].items():
        signs = (("+", change["added_ml"]), ("-", change["removed_ml"]))
        volumes = ", ".join(f"{sign}{ml:.2f} ml" for sign, ml in signs if ml)
        changes.append(f"{REGION_TITLES.get(name, name)} {volumes}")
    return _("Corrected by hand on {time} UTC: {changes}.").format(
        time=f"{time:%Y-%m-%d %H:%M}", changes="; ".join(changes)
    )


def _read_regions(result: PatientResult) -> Generator[None, None, NDArray[np.bool_]]:
    regions = []
    for name in REGIONS:
        regions.append(result.region(name))
        yield
    return np.stack(regions)


def _write_regions(result: PatientResult, regions: NDArray[np.bool_], instead_of: NDArray[np.bool_]) -> Iterator[None]:
    """Write those regions to their segments that differ from others."""
    segmentation = result.segmentation
    for name, voxels, there in zip(REGIONS, regions, instead_of, strict=True):
        if segmentation.GetSegmentation().GetSegment(name) is not None and not np.array_equal(voxels, there):
            _set_voxels(segmentation, name, voxels, result.require_reference())
        yield


def _set_voxels(
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment: str,
    voxels: NDArray[np.bool_],
    reference: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Replace the voxels of a segment.

    `slicer.util.updateSegmentBinaryLabelmapFromArray` does the same, but leaves a display node in the scene each time.
    """
    segments = vtk.vtkStringArray()
    segments.InsertNextValue(segment)
    labelmap = slicer.modules.volumes.logic().CreateAndAddLabelVolume(reference, segment)
    try:
        slicer.util.updateVolumeFromArray(labelmap, voxels.astype(np.uint8))
        if not slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, segmentation, segments):
            raise RuntimeError(f"Cannot replace segment {segment} of “{segmentation.GetName()}”.")
    finally:
        remove_node(labelmap)


def _edit(before: NDArray[np.bool_], after: NDArray[np.bool_], grid: Grid) -> dict[str, Any]:
    """Return the entry of the run report for a correction."""
    changes: dict[RegionName, dict[str, float]] = {}
    for name, old, new in zip(REGIONS, before, after, strict=True):
        added, removed = np.count_nonzero(new & ~old), np.count_nonzero(old & ~new)
        if added or removed:
            changes[name] = {
                "added_ml": round(added * grid.voxel_ml, 3),
                "removed_ml": round(removed * grid.voxel_ml, 3),
            }
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "regions": changes}


def _update(
    result: PatientResult, regions: NDArray[np.bool_], grid: Grid, edits: list[dict[str, Any]]
) -> Iterator[None]:
    """Update what depends on the regions: run report, tags of the segments, exclusive labels, volume table."""
    report = result.report
    measured = measure(*_cropped(regions, grid), report.get("not_segmented", ()))
    yield
    node = result.report_node
    if node is not None:
        report |= {**measured, EDITS: edits}
        if not edits:
            del report[EDITS]
        node.SetText(json.dumps(report, indent=2, ensure_ascii=False))
    dates = edited_regions({EDITS: edits})
    for name in REGIONS:
        segment = result.segmentation.GetSegmentation().GetSegment(name)
        if segment is not None and name in dates:
            segment.SetTag(EDITED_TAG, dates[name])
        elif segment is not None:
            segment.RemoveTag(EDITED_TAG)
    labels = result.exclusive_labels
    if labels is not None and display_node(labels).GetVisibility():
        show_exclusive_labels(result, True)
        yield
        yield from visible_surface_steps(result)
    yield from volume_table_steps(result)


def _cropped(regions: NDArray[np.bool_], grid: Grid) -> tuple[NDArray[np.bool_], Grid]:
    """Return regions and grid of the box around the whole tumor, which is quicker to measure."""
    spans = [np.flatnonzero(regions[0].any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not all(len(span) for span in spans):
        return regions, grid
    box = [slice(int(span[0]), int(span[-1]) + 1) for span in spans]
    start = [s.start for s in reversed(box)]
    x, y, z = (s.stop - s.start for s in reversed(box))
    return regions[(slice(None), *box)], grid.coarsened(1, start, (x, y, z))
