"""Evaluation of a trained fold on its validation cases."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import SimpleITK as sitk
import torch

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.dice import dice_by_region
from tokenunet.core.regions import REGIONS, regions_from_labels
from tokenunet.data.cases import Case, read_scans, read_truth
from tokenunet.evaluation.surface import surface_scores
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions, Mode
from tokenunet.io.files import staging_folder, write_text
from tokenunet.preprocessing import prepare, restore
from tokenunet.runtime.memory import PeakMemory
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.fold_folder import FoldFolder


def measuring_options(
    configuration: TrainingConfiguration, device: str, attention_maps: bool = False
) -> InferenceOptions:
    """Return the inference options for validation cases: windows or whole brains, as in training.

    Args:
        configuration: Settings of the training.
        device: Device to run on.
        attention_maps: Whether to return attention maps.
    """
    mode: Mode = "single_pass" if configuration.whole_brains else "sliding_window"
    return InferenceOptions(
        device=device, mode=mode, overlap=configuration.validation_overlap, attention_maps=attention_maps
    )


def measure_fold(
    fold: FoldFolder,
    bundle: ModelBundle,
    cases: Sequence[Case],
    configuration: TrainingConfiguration,
    device: str,
    facts: Mapping[str, Any],
    on_case: Callable[[], None],
) -> None:
    """Segment the validation cases like any patient, and write predictions and ``metrics.json``.

    Dice, HD95 and surface Dice are measured on the grid of each case's own scans, with BraTS's rule for empty regions.

    Args:
        fold: Files of the fold.
        bundle: Trained network.
        cases: Validation cases.
        configuration: Settings of the training, which determine the mode of inference.
        device: Device to run on.
        facts: Further entries of ``metrics.json``.
        on_case: Callback before every case; may raise to stop.

    Raises:
        InputError: If a case can no longer be read.
        DeviceError: If memory does not suffice.
        OutputError: If the results cannot be written.
    """
    options = measuring_options(configuration, device)
    rows: list[dict[str, Any]] = []
    peak = 0
    for case in cases:
        on_case()
        prepared = prepare(read_scans(case, bundle.manifest.inputs.names), bundle.manifest.space)
        began = time.perf_counter()
        with PeakMemory(torch.device(device)) as memory:
            prediction, _execution = predict(prepared, bundle, options)
        seconds = time.perf_counter() - began
        peak = max(peak, memory.bytes)
        result = restore(prediction, prepared)
        with staging_folder(fold.predictions) as staging:
            sitk.WriteImage(result.grid.image(result.labels), str(staging / f"{case.name}.nii.gz"))
        true = sitk.GetArrayFromImage(result.grid.resample(read_truth(case), sitk.sitkNearestNeighbor))
        regions = (regions_from_labels(result.labels), regions_from_labels(true))
        hd95_mm, surface_dice = surface_scores(*regions, result.grid)
        rows.append(
            {
                "case": case.name,
                "patient": case.patient,
                "dice": _with_mean(dice_by_region(result.labels, true)),
                "hd95_mm": _with_mean(hd95_mm),
                "surface_dice": _with_mean(surface_dice),
                "seconds": round(seconds, 3),
            }
        )
    metrics = {
        "architecture": fold.architecture,
        "fold": fold.fold,
        **facts,
        "cases": rows,
        "mean": {name: statistics.fmean(row["dice"][name] for row in rows) for name in (*REGIONS, "mean")},
        "inference": {
            "seconds": statistics.median(row["seconds"] for row in rows),
            "peak_memory_bytes": peak,
        },
    }
    write_text(fold.metrics, json.dumps(metrics, indent=1) + "\n")


def _with_mean(scores: Mapping[Any, float]) -> dict[str, float]:
    """Return the scores of the regions and their mean."""
    return {**scores, "mean": statistics.fmean(scores.values())}
