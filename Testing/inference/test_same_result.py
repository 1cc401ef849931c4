"""What users run against the readable network in single precision, with the model that ships."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.core.dice import dice
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.inference.crop import BrainCrop
from tokenunet.inference.network_run import region_probabilities
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.runtime.device import Precision
from tokenunet.study.scans import Study, find_sequences, read_study
from tokenunet.synthesis import synthetic_patient

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "TCGA-FG-6692" / "brats_space"
FIRST_SEED = 4 * 10**9
NEGLIGIBLE_VOXELS = 2
"""Of a region so small that one voxel is a whole per cent of it."""
PATIENTS = int(os.environ.get("TOKENUNET_COMPARED_PATIENTS", "1"))


def studies() -> list[Study]:
    real = [read_study(find_sequences(REAL), "T1ce")] if REAL.exists() else []
    return real + [synthetic_study(synthetic_patient(FIRST_SEED + number))[0] for number in range(PATIENTS)]


@torch.inference_mode()
def readable_probabilities(prepared: Prepared) -> np.ndarray:
    """The network as it is written down, in single precision, with PyTorch's own layout."""
    bundle = load_bundle(find_model(DEFAULT_MODEL))
    view = BrainCrop.of_brain(prepared.brain, 8)
    logits = bundle.build()(view.cut(prepared.tensor)[None])[0]
    return view.paste(region_probabilities(logits, bundle.manifest)).numpy() * prepared.brain


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999), ("bf16", 0.995)])
def test_what_users_run_gives_what_the_readable_network_gives(precision: Precision, least: float) -> None:
    bundle = load_bundle(find_model(DEFAULT_MODEL))
    for study in studies():
        prepared = prepare(study, bundle.manifest.space)
        prediction, _ = predict(prepared, bundle, InferenceOptions(device="cpu", precision=precision, fast=True))
        readable = readable_probabilities(prepared) > 0.5
        for run, expected in zip(prediction.probabilities > 0.5, readable, strict=True):
            agreement, differing = dice(run, expected), int((run != expected).sum())
            print(precision, study.scans["T1ce"].source, expected.sum(), "voxels", round(agreement, 5), differing)
            assert agreement >= least or differing <= NEGLIGIBLE_VOXELS
