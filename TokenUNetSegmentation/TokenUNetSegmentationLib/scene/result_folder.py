"""A result of the scene as a folder of results, with its corrections, for commands in a worker process."""

from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk
from slicer.i18n import tr as _
from tokenunet.core.errors import InputError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import labels_from_regions
from tokenunet.io.files import sha256_of
from tokenunet.io.result_files import LABELS_FILE, write_report

from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import export_volume

SCAN = "scan.nrrd"
"""File of the reference scan."""


def write_result_steps(result: PatientResult, folder: Path, with_others: bool = False) -> Iterator[None]:
    """Write the reference scan, the labels and the run report, in short steps.

    Args:
        result: Patient.
        folder: Folder, created if needed.
        with_others: Whether to write the other scans that are in place, too, and to name no others in the run report.

    Raises:
        MissingNodeError: If the reference volume is gone.
        InputError: If the segmentation has another grid than the scan.
        OutputError: If the scan cannot be written.
    """
    reference = result.require_reference()
    folder.mkdir(parents=True, exist_ok=True)
    export_volume(reference, folder / SCAN)
    yield
    grid = Grid.of(sitk.ReadImage(folder / SCAN))
    regions = result.regions()
    if regions.shape[1:] != grid.size[::-1]:
        raise InputError(
            _("The segmentation of “{name}” has another grid than its scan.").format(name=reference.GetName()),
            _("Segment it again."),
        )
    yield
    sitk.WriteImage(grid.image(labels_from_regions(regions)), folder / LABELS_FILE, True, 1)
    yield
    report = result.report
    channel = next((name for name, node in result.inputs.items() if node is reference), report.get("reference", "T1ce"))
    inputs = dict(report.get("inputs", {}))
    known = {"path": reference.GetName(), "size": grid.size, "spacing": grid.spacing, "because": ""}
    scan = known | inputs.get(channel, {}) | {"sha256": sha256_of(folder / SCAN)}
    scan.pop("series", None)  # the scan is read from this folder
    if with_others:
        scan["path"] = SCAN
        inputs = {}
        for name, node in result.inputs.items():
            if name != channel and name not in result.transforms:
                inputs[name] = {"path": f"{name}.nrrd"}
                export_volume(node, folder / inputs[name]["path"])
                yield
    write_report({**report, "reference": channel, "inputs": inputs | {channel: scan}}, folder)
    yield
