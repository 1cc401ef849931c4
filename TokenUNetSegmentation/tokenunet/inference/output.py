"""The folder that a segmentation leaves behind.

| file | content |
| --- | --- |
| ``labels.nii.gz`` | exclusive labels on the reference grid |
| ``labels_<sequence>.nii.gz`` | the same on the grid of every sequence that has another grid |
| ``segmentation.seg.nrrd`` | whole tumour, tumour core and enhancing tumour as overlapping segments for Slicer |
| ``masks/token_learner_1.nii.gz`` ... | attention masks on the bottleneck's grid, if asked for |
| ``run.json`` | the run report; where it stands, the rest is complete |
"""

import json
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.errors import OutputError, OutputExistsError
from tokenunet.files import staging_folder
from tokenunet.inference.prediction import AttentionMasks
from tokenunet.preprocessing import Result
from tokenunet.segmentation_file import write_segmentation

RUN_REPORT = "run.json"
LABELS = "labels.nii.gz"
SEGMENTATION = "segmentation.seg.nrrd"
MASKS = "masks"
RESULT_PATTERNS = (LABELS, "labels_*.nii.gz", SEGMENTATION, MASKS, RUN_REPORT)


def check_output(folder: Path, force: bool) -> None:
    """Finds out before the work what would prevent the results from being written after it.

    Raises:
        OutputExistsError: where the folder holds results and ``force`` is not set.
        OutputError: where the folder cannot be written.
    """
    if not force and any(any(folder.glob(pattern)) for pattern in RESULT_PATTERNS):
        raise OutputExistsError(
            f"{folder} already holds results.", "Choose another folder, or use --force to replace them."
        )
    with staging_folder(folder):
        pass


def write_result(result: Result, folder: Path) -> None:
    """Writes all but the run report.

    Raises:
        OutputError: where a file cannot be written.
    """
    write_image(result.labels, folder / LABELS)
    for sequence, labels in result.labels_native.items():
        write_image(labels, folder / f"labels_{sequence}.nii.gz")
    write_segmentation(result.regions, result.labels, folder / SEGMENTATION)
    if result.masks is not None:
        _write_masks(result.masks, folder / MASKS)


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Writes ``run.json``."""
    (folder / RUN_REPORT).write_text(json.dumps(report, indent=2) + "\n")


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes an image, compressed lightly: label images and masks hardly get smaller with more effort.

    Raises:
        OutputError: where the file cannot be written.
    """
    try:
        sitk.WriteImage(image, path, useCompression=True, compressionLevel=1)
    except RuntimeError as error:
        raise OutputError(f"{path} cannot be written.", "Make room on the disk.") from error


def _write_masks(masks: AttentionMasks, folder: Path) -> None:
    folder.mkdir()
    for kind, stack in (("token_learner", masks.token_learner), ("token_fuser", masks.token_fuser)):
        for number, mask in enumerate(stack, start=1):
            write_image(_image(mask, masks), folder / f"{kind}_{number}.nii.gz")


def _image(mask: NDArray[Any], masks: AttentionMasks) -> sitk.Image:
    raise NotImplementedError
