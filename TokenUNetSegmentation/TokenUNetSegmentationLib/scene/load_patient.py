"""Loading of a patient's scans and result from an output folder of ``tokenunet segment``."""

from collections.abc import Iterator
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.io.result_files import RUN_REPORT, is_same_run, read_report

from TokenUNetSegmentationLib.scene.load_result import build_steps
from TokenUNetSegmentationLib.scene.nodes import remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.results import PatientResult, all_results
from TokenUNetSegmentationLib.scene.volumes import load_volume

OUTPUT_ATTRIBUTE = "TokenUNet.Output"
"""Attribute of the segmentation node: folder from which the result was loaded."""


def load_patient_steps(output: Path, patient: str) -> Iterator[PatientResult | None]:
    """Load the scans and the result of a run into a folder of the scene, in short steps.

    A result that is in the scene already is not loaded again, unless the patient was segmented again since then.

    Args:
        output: Output folder of ``tokenunet segment``.
        patient: Name of the patient, for the nodes.

    Yields:
        None while the scans are read, then the result, with more nodes after each step. Closing the iterator before its
        end removes what was loaded.

    Raises:
        UnreadableImageError: If a scan is no longer where the run found it, or a file is damaged.
    """
    report = _read_report(output)
    from_here = (r for r in all_results() if r.segmentation.GetAttribute(OUTPUT_ATTRIBUTE) == str(output))
    if loaded := [r for r in from_here if is_same_run(r.report, report)]:
        yield loaded[-1]
        return
    folder = subject_hierarchy().CreateFolderItem(subject_hierarchy().GetSceneItemID(), patient)
    nodes: dict[str, slicer.vtkMRMLScalarVolumeNode] = {}
    try:
        for sequence, scan in report["inputs"].items():
            nodes[sequence] = load_volume(_image_file(scan["path"]), f"{patient} {sequence}")
            subject_hierarchy().CreateItem(folder, nodes[sequence])
            yield None
        for result in build_steps(nodes, report["reference"], output):
            if result is not None:
                result.segmentation.SetAttribute(OUTPUT_ATTRIBUTE, str(output))
            yield result
    except BaseException:
        for node in nodes.values():
            remove_node(node)
        subject_hierarchy().RemoveItem(folder)
        raise


def _read_report(folder: Path) -> dict:
    try:
        return read_report(folder)
    except (OSError, ValueError) as error:
        raise UnreadableImageError(
            _("{file} cannot be read.").format(file=folder / RUN_REPORT), _("Segment the patient again.")
        ) from error


def _image_file(source: str) -> Path:
    """Return the file of a scan, or any file of its DICOM series, from which the whole series is read."""
    place, is_series, name = source.partition(": series ")
    if not is_series:
        return Path(source)
    from tokenunet.study.dicom import find_series  # not at the top: pydicom may not be installed yet

    found = [series.files[0] for series in find_series(Path(place)) if series.name == name]
    if len(found) != 1:
        raise UnreadableImageError(
            _("{source} cannot be found.").format(source=source), _("Load the scans and segment the patient again.")
        )
    return found[0]
