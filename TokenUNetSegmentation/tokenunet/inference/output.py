"""Folder of the results of a segmentation.

| file | content |
| --- | --- |
| ``labels.nii.gz`` | exclusive labels on the reference grid |
| ``labels_<sequence>.nii.gz`` | the same on the grid of every sequence that has another grid |
| ``segmentation.seg.nrrd`` | whole tumor, tumor core and enhancing tumor as overlapping segments for Slicer |
| ``segmentation.dcm`` | the regions as a DICOM SEG that refers to the reference's series, if asked for |
| ``brain.nii.gz`` | the brain on the reference grid, if it had to be cut out of the head |
| ``transforms/<sequence>.tfm`` | how a sequence was aligned: from the reference's space to its own, for Slicer |
| ``quality.html`` | pictures of alignment, brain and result, if scans were aligned or the brain cut out |
| ``review_candidates.nii.gz`` | numbers of the review candidates on the reference grid, if there are any |
| ``overlays/<group>/<name>.nii.gz`` | overlays, such as attention maps on the bottleneck's grid |
| ``run.json`` | the run report; it is written last, so that the rest is complete if it exists |
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tokenunet.bundle.manifest import CHANNEL_NAME
from tokenunet.core.errors import OutputError, OutputExistsError
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import OVERLAYS
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.inference.quality_page import quality_page
from tokenunet.inference.review import Review
from tokenunet.io.files import staging_folder
from tokenunet.io.overlay_files import FILES_0_1, write_overlays
from tokenunet.io.result_files import (
    BRAIN,
    DICOM_FILES,
    LABELS_FILE,
    QUALITY,
    REPORT_FILES,
    RUN_REPORT,
    SEGMENTATION,
    TRANSFORMS,
)
from tokenunet.io.seg_nrrd import write_segmentation
from tokenunet.preprocessing import Prepared, Result
from tokenunet.review.candidates import CANDIDATES_FILE
from tokenunet.study.scans import Study


def result_patterns(channels: Sequence[SequenceName] = ()) -> tuple[str, ...]:
    """Return what a run and its exports may write, and a later run replaces; other files stay, in the same folders too.

    Args:
        channels: Channels of the model and of the earlier one, beyond `SEQUENCES`.
    """
    names = dict.fromkeys((*SEQUENCES, *channels))
    return (
        LABELS_FILE,
        *(f"labels_{name}.nii.gz" for name in names),
        SEGMENTATION,
        *DICOM_FILES,
        *REPORT_FILES,
        f"{OVERLAYS}/*/*.nii.gz",
        *FILES_0_1,
        BRAIN,
        CANDIDATES_FILE,
        *(f"{TRANSFORMS}/{name}.tfm" for name in names),
        QUALITY,
        RUN_REPORT,
    )


def earlier_channels(folder: Path) -> list[SequenceName]:
    """Return the channels of the results that a folder holds; none if its run report cannot be read."""
    try:
        inputs = json.loads((folder / RUN_REPORT).read_text(encoding="utf-8"))["inputs"]
        return [name for name in inputs if CHANNEL_NAME.fullmatch(name)]  # as parts of paths, they must be names
    except (OSError, ValueError, LookupError, TypeError):
        return []


def check_output(folder: Path, force: bool, patterns: tuple[str, ...] | None = None) -> None:
    """Check before the work that its results can be written.

    Args:
        folder: Folder for the results.
        force: Whether they may replace earlier ones.
        patterns: Patterns of the results' files; None is those of a segmentation.

    Raises:
        OutputExistsError: If the folder holds results and `force` is not set.
        OutputError: If the folder cannot be written.
    """
    patterns = result_patterns() if patterns is None else patterns
    earlier = [path.relative_to(folder).as_posix() for pattern in patterns for path in sorted(folder.glob(pattern))]
    if earlier and not force:
        raise OutputExistsError(
            f"{folder} already holds results: {', '.join(earlier)}.",
            "Choose another folder, or use --force to replace them.",
        )
    with staging_folder(folder):
        pass


def write_result(result: Result, folder: Path) -> None:
    """Write all files but the run report.

    Args:
        result: Result of one patient.
        folder: Folder to write into, which exists.

    Raises:
        OutputError: If a file cannot be written.
    """
    try:
        labels_image = result.grid.image(result.labels)
        _write_image(labels_image, folder / LABELS_FILE)
        for sequence, (labels, grid) in result.other_labels.items():
            _write_image(grid.image(labels), folder / f"labels_{sequence}.nii.gz")
        write_segmentation(result.regions, labels_image, folder / SEGMENTATION)
        write_overlays(result.overlays, folder)
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise OutputError(f"Results cannot be written to {folder.parent}.", "Make room on the disk.") from error


def write_preparation(study: Study, prepared: Prepared, result: Result, folder: Path) -> None:
    """Write how raw scans were prepared for the network; nothing if they were segmented as they are.

    Args:
        study: Scans as they were read.
        prepared: Patient in the model's space.
        result: Result of the patient.
        folder: Folder to write into, which exists.

    Raises:
        OutputError: If a file cannot be written.
    """
    if not prepared.alignments and not prepared.brain_extracted:
        return
    try:
        if prepared.brain_extracted:
            brain = prepared.grid.image(prepared.brain.astype(np.uint8))
            _write_image(prepared.reference_grid.resample(brain, sitk.sitkNearestNeighbor), folder / BRAIN)
        if prepared.alignments:
            (folder / TRANSFORMS).mkdir()
        for sequence, alignment in prepared.alignments.items():
            sitk.WriteTransform(alignment.transform, folder / TRANSFORMS / f"{sequence}.tfm")
    except RuntimeError as error:
        raise OutputError(f"Results cannot be written to {folder.parent}.", "Make room on the disk.") from error
    (folder / QUALITY).write_text(quality_page(study, prepared, result), encoding="utf-8")


def write_review(review: Review | None, grid: Grid, folder: Path) -> None:
    """Write the labelmap of the review candidates; nothing if there are none.

    Args:
        review: Review of the patient; None if the model has no calibration.
        grid: Grid of the labelmap.
        folder: Folder to write into, which exists.

    Raises:
        OutputError: If the file cannot be written.
    """
    if review is None or not review.candidates.candidates:
        return
    try:
        _write_image(grid.image(review.labels), folder / CANDIDATES_FILE)
    except RuntimeError as error:
        raise OutputError(f"Results cannot be written to {folder.parent}.", "Make room on the disk.") from error


def _write_image(image: sitk.Image, path: Path) -> None:
    # More effort hardly makes images of few values smaller.
    sitk.WriteImage(image, path, useCompression=True, compressionLevel=1)
