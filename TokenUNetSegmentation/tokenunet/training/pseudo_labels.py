"""Labels for unlabeled scans, made by a model, for a training that adapts it to them."""

import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.errors import DatasetError, NoConfidentScansError
from tokenunet.core.events import OnEvent, Progress, Stage
from tokenunet.core.prediction import Prediction
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import Case, read_dataset, read_scans
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.io.files import staging_folder
from tokenunet.preprocessing import prepare, restore

TABLE = "patients.csv"
LEAST_ML = 1.0
"""Smallest tumor whose labels are used; scans with less may hold a tumor that the model missed."""
MOST_DOUBT = 0.5
"""Largest share of doubtful voxels among those of the tumor."""
_DOUBTFUL = (0.2, 0.8)
"""Range of probabilities of the whole tumor between which a voxel is doubtful."""


def write_pseudo_labels(scans: Path, output: Path, bundle: ModelBundle, device: str, on_event: OnEvent) -> list[str]:
    """Segment scans and write the confident results as ground truths, with a table of them for a training.

    Results are confident if a tumor of at least `LEAST_ML` was found and few of its voxels are doubtful. A ground truth
    that comes with the scans is ignored.

    Args:
        scans: Folder or CSV of the scans, in a layout for training.
        output: Folder for `TABLE` and the labels.
        bundle: The model.
        device: Device, as for `InferenceOptions`.
        on_event: Callback that receives progress.

    Returns:
        Names of the cases whose result was confident.

    Raises:
        DatasetError: If a scan lacks a sequence, or shares a file with others.
        InputError: If a scan cannot be read or used.
        NoConfidentScansError: If fewer than two results are confident.
        OutputError: If the folder cannot be written.
    """
    cases = read_dataset(scans).cases
    for case in cases:
        _refuse_incomplete(case)
    progress, rows = Progress(on_event, {Stage.PREDICT: 1.0}), []
    with staging_folder(output, last=TABLE) as staging:
        for number, case in enumerate(cases):
            progress.update(Stage.PREDICT, number / len(cases))
            prepared = prepare(read_scans(case), bundle.manifest.space)
            prediction, _ = predict(prepared, bundle, InferenceOptions(device))
            result = restore(prediction, prepared)
            if result.volumes_ml["WT"] < LEAST_ML or doubt(prediction) > MOST_DOUBT:
                continue
            labels = f"{case.name}_seg.nii.gz"
            sitk.WriteImage(result.grid.image(result.labels), str(staging / labels))
            files = [str(case.images[sequence].path) for sequence in SEQUENCES]
            rows.append([case.name, case.patient, *files, labels])
        if len(rows) < 2:
            raise NoConfidentScansError(
                f"Only {len(rows)} of the {len(cases)} scans in {scans} got a confident result; two are needed.",
                "Add scans, or label some and use: tokenunet train --preset few_shot.",
            )
        with (staging / TABLE).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["case", "patient", *SEQUENCES, "truth"], *rows])
    return [row[0] for row in rows]


def doubt(prediction: Prediction) -> float:
    """Return the number of voxels with a doubtful probability of tumor, per voxel that is marked."""
    whole = prediction.probabilities[0]
    doubtful = (whole > _DOUBTFUL[0]) & (whole < _DOUBTFUL[1])
    return float(doubtful.sum() / max(1, int(np.sum(whole > 0.5))))


def _refuse_incomplete(case: Case) -> None:
    missing = [name for name in SEQUENCES if name not in case.images]
    if missing:
        raise DatasetError(f"{case.name} has no {', '.join(missing)}.", "Add it, or remove the case.")
    if any(source.channel is not None for source in case.images.values()):
        raise DatasetError(
            f"{case.name} has several sequences in one file.", "Save each sequence in a file of its own."
        )
