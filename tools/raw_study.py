"""Compare a raw study with the processed copy of the same scans: brain extraction, and Dice.

    python -m tools.raw_study --raw RAW --processed PROCESSED --output WORK

RAW contains the scans from the scanner, PROCESSED the same scans skull-stripped and moved rigidly, with a ground truth
named ``..._seg``. Both are segmented; brain mask and ground truth are transferred by registering one T1ce to the other.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.core.background import background_value
from tokenunet.core.dice import dice, dice_by_region
from tokenunet.core.grid import Grid
from tokenunet.data import read_truth
from tokenunet.evaluation.real import real_cases
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.result_files import BRAIN, LABELS_FILE
from tokenunet.preprocessing.register import Reference
from tokenunet.study.find import find_study


def compare(raw: Path, processed: Path, output: Path, model: Path) -> dict[str, object]:
    """Return Dice of brain and regions, and the quality of the registration.

    Args:
        raw: Folder of a study whose scans show the whole head.
        processed: Folder of its processed copy, with a ground truth.
        output: Folder for both results, which replace earlier ones.
        model: Path of a model bundle.

    Raises:
        InputError: If the scans cannot be used.
    """
    (case,) = real_cases([processed])
    ground_truth = read_truth(case)
    segment(SegmentationRequest({}, output / "processed", model, processed, "T1ce", force=True))
    report = segment(SegmentationRequest({}, output / "raw", model, raw, "T1ce", force=True))
    stripped = find_study(processed).read("T1ce").scans["T1ce"].image
    stripped_brain = stripped != background_value(sitk.GetArrayViewFromImage(stripped))
    head = find_study(raw).read("T1ce").scans["T1ce"].image
    brain_image = sitk.ReadImage(output / "raw" / BRAIN)
    quality, transform = _way_to_raw(Reference(stripped, stripped_brain), Grid.of(stripped), head, brain_image)
    grid, way = Grid.of(head), transform.GetInverse()

    def native(image: sitk.Image) -> np.ndarray:
        return sitk.GetArrayFromImage(grid.resample(image, sitk.sitkNearestNeighbor, way))

    brain = sitk.GetArrayFromImage(brain_image) > 0
    labels = {name: sitk.ReadImage(output / name / LABELS_FILE) for name in ("raw", "processed")}
    return {
        "registration_quality": round(quality, 3),
        "brain_dice": round(dice(brain, native(stripped_brain) > 0), 4),
        "raw_dice_in_native_space": dice_by_region(sitk.GetArrayFromImage(labels["raw"]), native(ground_truth)),
        "processed_dice": dice_by_region(
            sitk.GetArrayFromImage(labels["processed"]),
            sitk.GetArrayFromImage(Grid.of(labels["processed"]).resample(ground_truth, sitk.sitkNearestNeighbor)),
        ),
        "raw_timings_s": report["timings_s"],
    }


def _way_to_raw(
    processed: Reference, grid: Grid, head: sitk.Image, brain: sitk.Image
) -> tuple[float, sitk.CompositeTransform]:
    """Return the quality of the registration, and the transform from the processed to the raw space.

    The extracted brain is registered first, across the large motion, and then the whole head, so that errors of the
    extraction do not affect the result.
    """
    near = processed.align(sitk.Mask(head, brain)).transform
    last = processed.align(grid.resample(head, transform=near))
    return last.quality, sitk.CompositeTransform([near, last.transform])


def main() -> None:
    """Compare two studies and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--processed", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    found = compare(options.raw, options.processed, options.output, find_model(options.model))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
