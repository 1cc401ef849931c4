"""Calibrate a model's output on synthetic patients, so that a threshold of 0.5 gives the highest Dice.

    python -m tools.output_calibration --model Resources/Models/default

A network is less certain of thin rims in scans with finer voxels than its own, and would omit them. The offset of the
logits of each region becomes part of the weights, and is recorded in ``training.logit_offsets`` of ``model.json``.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle, load_bundle, save_bundle
from tokenunet.core.errors import ModelError
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.evaluation.evidence import SCAN_SPACING
from tokenunet.evaluation.segmented import brats_scores, true_regions
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.networks import architecture_of
from tokenunet.preprocessing import Prepared, prepare, restore
from tokenunet.synthesis import synthetic_patient
from torch import nn

FIRST_SEED = 8 * 10**9
"""Far from the seeds of training, validation, hold-out and all measurements."""
THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


def best_thresholds(bundle: ModelBundle, patients: int) -> dict[RegionName, float]:
    """Return the threshold of each region with the highest mean Dice, which is 1 or 0 for absent regions, as in BraTS.

    It is 1 if hardly anything is segmented there, so that false positives of low thresholds count.

    Args:
        bundle: Model.
        patients: Number of synthetic patients.
    """
    scores: dict[RegionName, list[list[float]]] = {region: [] for region in REGIONS}
    for seed in range(FIRST_SEED, FIRST_SEED + patients):
        study, ground_truth = synthetic_study(synthetic_patient(seed, SCAN_SPACING))
        prepared = prepare(study, bundle.manifest.space)
        prediction, _execution = predict(prepared, bundle, InferenceOptions(device="cpu"))
        true = true_regions(ground_truth, prepared.reference_grid)
        by_threshold = [
            brats_scores(_regions(prediction, threshold, prepared), true, prepared.reference_grid)
            for threshold in THRESHOLDS
        ]
        for region in REGIONS:
            scores[region].append([scores_at[region] for scores_at in by_threshold])
    return {region: THRESHOLDS[int(np.argmax(np.mean(of_patients, axis=0)))] for region, of_patients in scores.items()}


def _regions(prediction: Prediction, threshold: float, prepared: Prepared) -> NDArray[np.bool_]:
    return restore(shifted(prediction, logit_offset(threshold)), prepared).regions


def logit_offset(threshold: float) -> float:
    """Return the offset of logits that turns a probability of ``threshold`` into 0.5."""
    return -math.log(threshold / (1 - threshold))


def shifted(prediction: Prediction, offset: float) -> Prediction:
    """Return a prediction with an offset added to all logits."""
    logits = torch.logit(torch.from_numpy(prediction.probabilities), eps=1e-6)
    return replace(prediction, probabilities=(logits + offset).sigmoid().numpy())


def add_to_output(network: nn.Module, offsets: Mapping[RegionName, float]) -> None:
    """Add offsets to a network's logits, in its last layer.

    Args:
        network: UNet** or Token-UNet.
        offsets: Offset of each region's logits.

    Raises:
        ModelError: If the network is another one.
    """
    known = architecture_of(network)
    last = network.head[-1] if known is not None and known.cpu_optimized else None  # type: ignore[index, union-attr]
    if last is None or last.bias is None:
        raise ModelError("Only UNet** and Token-UNet can be calibrated.", "Choose another model.")
    with torch.no_grad():
        last.bias += torch.tensor([offsets[region] for region in REGIONS])


def main() -> None:
    """Calibrate a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the bundle, which is rewritten")
    parser.add_argument("--patients", type=int, default=40)
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    thresholds = best_thresholds(bundle, options.patients)
    offsets = {region: logit_offset(threshold) for region, threshold in thresholds.items()}
    networks = [bundle.build(member) for member in range(bundle.manifest.members)]
    for network in networks:
        add_to_output(network, offsets)
    earlier = bundle.manifest.training.get("logit_offsets", {})
    noted = {region: round(earlier.get(region, 0.0) + offset, 3) for region, offset in offsets.items()}
    training = {**bundle.manifest.training, "logit_offsets": noted}
    save_bundle(options.model, replace(bundle.manifest, training=training), networks)
    print(f"{options.model}: best thresholds {thresholds}, which are now 0.5")


if __name__ == "__main__":
    main()
