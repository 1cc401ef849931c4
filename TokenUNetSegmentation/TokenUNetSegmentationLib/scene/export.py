"""Export of results: files, DICOM, command line and run report."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import SimpleITK as sitk
import slicer
from slicer.i18n import tr as _
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.edits import EDITS, edit_mark
from tokenunet.core.errors import OutputError
from tokenunet.core.events import ProgressEvent
from tokenunet.core.regions import labels_from_regions
from tokenunet.inference.batch.summary import correct_summary
from tokenunet.inference.request import InferenceOptions, SegmentationRequest
from tokenunet.io.corrected import put_back_dicom, save_corrected
from tokenunet.io.overlay_files import has_attention_maps
from tokenunet.io.result_files import REPORT_FILES

from TokenUNetSegmentationLib.logic.inputs import Availability
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command
from TokenUNetSegmentationLib.scene.corrections import describe_edit
from TokenUNetSegmentationLib.scene.load_patient import OUTPUT_ATTRIBUTE
from TokenUNetSegmentationLib.scene.results import MissingNodeError, PatientResult
from TokenUNetSegmentationLib.scene.volumes import grid_of


def export_segmentation(result: PatientResult, path: Path) -> None:
    """Write the three regions, including edits, to a ``.seg.nrrd`` file.

    Raises:
        OutputError: If the file cannot be written.
    """
    _write(slicer.vtkMRMLSegmentationStorageNode(), result.segmentation, path)


def export_labels(result: PatientResult, path: Path) -> None:
    """Write exclusive labels (NCR 1, ED 2, ET 4), including edits, on the reference's grid to a NIfTI file.

    Raises:
        MissingNodeError: If the reference volume is gone.
        OutputError: If the file cannot be written.
    """
    reference = result.require_reference()
    on_file = slicer.vtkMRMLScalarVolumeNode()  # the grid of the scan's file, without transforms of the scene
    on_file.CopyOrientation(reference)
    on_file.SetAndObserveImageData(reference.GetImageData())
    image = grid_of(on_file).image(labels_from_regions(result.regions()))
    if mark := edit_mark(result.report):
        image.SetMetaData("ITK_FileNotes", mark)  # "descrip" in the header
    with _unfinished(path) as unfinished:
        try:
            sitk.WriteImage(image, str(unfinished))
        except RuntimeError as error:
            raise _cannot_write(path) from error


def can_save_corrections(result: PatientResult) -> Availability:
    """Return whether corrections can be saved to the folder from which the result was loaded, and why not."""
    folder = result.segmentation.GetAttribute(OUTPUT_ATTRIBUTE)
    if not folder:
        return Availability(False, _("This result was not loaded from a folder of results."))
    if not result.report.get(EDITS):
        return Availability(False, _("Nothing was corrected."))
    return Availability(True, _("Replace labels, segmentation and run report in {folder}.").format(folder=folder))


def save_corrections(result: PatientResult) -> tuple[Path, list[str]]:
    """Replace the result in its folder, and its volumes in the summary of a batch, by the corrected ones.

    Returns:
        Folder, and the names of DICOM objects and reports of the uncorrected regions that were removed from it.

    Raises:
        MissingNodeError: If the reference volume is gone.
        UnusableImageError: If the result in the folder has another grid.
        OutputError: If the folder cannot be written.
    """
    folder = Path(result.segmentation.GetAttribute(OUTPUT_ATTRIBUTE))
    removed = save_corrected(folder, result.regions(), result.report)
    correct_summary(folder, result.report["volumes_ml"])
    return folder, removed


def remake_steps(
    folder: Path, removed: Sequence[str], start_worker: Callable[[Sequence[str], Path], WorkerProcess]
) -> Iterator[float]:
    """Make the DICOM objects and reports again that `save_corrections` removed, in a worker process and short steps.

    Args:
        folder: Folder of results.
        removed: Names of the removed files.
        start_worker: Function that starts the worker process.

    Yields:
        Completed fraction from 0 to 1. Closing the iterator ends all work, and leaves the folder without them.

    Raises:
        WorkerError: If the scans are gone, or the files cannot be made.
        OutputError: If the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="tokenunet-corrected-") as temporary:
        commands = [["report", str(folder)]] * any(name in REPORT_FILES for name in removed)
        commands += [["dicom", str(folder), "--output", temporary]] * any(name not in REPORT_FILES for name in removed)
        for number, arguments in enumerate(commands):
            fraction = 0.0
            for events in run_command(arguments, start_worker, _("The command ended unexpectedly.")):
                fraction = max([fraction, *(event.fraction for event in events if isinstance(event, ProgressEvent))])
                yield (number + fraction) / len(commands)
        put_back_dicom(folder, Path(temporary), removed)


def _write(storage: slicer.vtkMRMLStorageNode, node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    slicer.mrmlScene.AddNode(storage)
    try:
        with _unfinished(path) as unfinished:
            storage.SetFileName(str(unfinished))
            if not storage.WriteData(node):
                raise _cannot_write(path)
    finally:
        slicer.mrmlScene.RemoveNode(storage)


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """Give a temporary file that becomes the file in the end, so that an existing one stays intact on failure."""
    unfinished = path.with_name(f"unfinished-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise _cannot_write(path, error.strerror or "") from error
    finally:
        with suppress(OSError):  # nothing to remove on a disk that cannot be written
            unfinished.unlink()


def _cannot_write(path: Path, reason: str = "") -> OutputError:
    message = (
        _("{file} cannot be written: {reason}.").format(file=path, reason=reason)
        if reason
        else _("{file} cannot be written.").format(file=path)
    )
    return OutputError(message, _("Choose another folder or make room on the disk."))


def can_export_dicom(result: PatientResult) -> Availability:
    """Return whether Slicer can export this result as DICOM SEG, and why not."""
    if "DICOMSegmentationPlugin" not in getattr(slicer.modules, "dicomPlugins", {}):
        return Availability(False, _("Install “QuantitativeReporting” in the Extensions Manager: it writes DICOM SEG."))
    if result.reference is None or not result.reference.GetAttribute("DICOM.instanceUIDs"):
        return Availability(False, _("DICOM SEG refers to DICOM images, and these scans were not loaded from DICOM."))
    return Availability(True, _("Open Slicer's DICOM export for this segmentation."))


def export_dicom(result: PatientResult) -> None:
    """Open Slicer's DICOM export with the segmentation selected."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    dialog = slicer.qSlicerDICOMExportDialog()
    dialog.setMRMLScene(slicer.mrmlScene)
    dialog.execDialog(hierarchy.GetItemByDataNode(result.segmentation))


def command_line(result: PatientResult) -> str:
    """Return the ``tokenunet`` command that reproduces the result from the files of its scans.

    Raises:
        MissingNodeError: If one of the scans is gone.
    """
    report = result.report
    if gone := [name for name in report.get("inputs", ()) if name not in result.inputs]:
        raise MissingNodeError(
            _("The {channel} volume of “{name}” is no longer in the scene.").format(
                channel=gone[0], name=result.segmentation.GetName()
            ),
            _("Load it and segment again."),
        )
    files = {}
    for sequence, node in result.inputs.items():
        storage = node.GetStorageNode()
        files[sequence] = Path((storage.GetFileName() if storage is not None else None) or f"{node.GetName()}.nii.gz")
    model = report.get("model", {})
    request = SegmentationRequest(
        inputs=files,
        output=Path("result"),
        model=str(model.get("path") or model.get("name") or DEFAULT_MODEL),
        reference=report.get("reference"),
        options=InferenceOptions(
            device=report.get("device", "auto"),
            mode=report.get("mode", "single_pass"),
            attention_maps=has_attention_maps(report),
            fast=report.get("fast", False),
        ),
        left_out=tuple(report.get("missing", ())),
    )
    words = ["tokenunet", "segment", *request.to_arguments()]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def run_report_text(result: PatientResult) -> str:
    """Return the run report as readable text: model, device, overlays, timings, memory, versions and warnings."""
    report = result.report
    if not report:
        return _("This result has no run report.")
    lines = []
    if model := report.get("model"):
        lines.append(
            _("Model {name} ({architecture}), SHA-256 {checksum}…").format(
                name=model.get("name"), architecture=model.get("architecture"), checksum=model.get("sha256", "")[:16]
            )
        )
        if model.get("members", 1) > 1:
            lines.append(
                _("Ensemble of {number} networks, averaged; attention maps are those of the first one").format(
                    number=model["members"]
                )
            )
    if "device" in report:
        lines.append(
            _("Device {device}, inference mode {mode}, precision {precision}").format(
                device=report["device"], mode=report.get("mode"), precision=report.get("precision")
            )
        )
    if groups := result.overlay_groups:
        counts = (f"{group.title} ({len(result.overlays(name))})" for name, group in groups.items())
        lines.append(_("Overlays: {groups}").format(groups=", ".join(counts)))
    if timings := report.get("timings_s"):
        lines.append(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in timings.items()))
    if memory := report.get("peak_memory_bytes"):
        lines.append(_("Peak memory {gigabytes:.1f} GB").format(gigabytes=memory / 1e9))
    if versions := report.get("versions"):
        lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    lines += [describe_edit(edit) for edit in report.get(EDITS, ())]
    lines += [f"⚠ {warning['message']}" for warning in report.get("warnings", ())]
    lines += [f"⚠ {fallback}" for fallback in report.get("fallbacks", ())]
    return "\n".join(lines)
