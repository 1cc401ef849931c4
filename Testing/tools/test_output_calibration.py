"""The fitted output: what was best at another threshold is now best at one half."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import load_bundle
from tokenunet.core.errors import ModelError
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.networks import build_network

from tools import output_calibration
from tools.output_calibration import add_to_output, best_thresholds, logit_offset, main, shifted

COARSE = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))
"""On the grid of the scans here, which is quicker."""


def test_an_offset_makes_its_threshold_one_half() -> None:
    probabilities = np.array([0.1, 0.19, 0.21, 0.9], np.float32).reshape(1, 1, 1, 4).repeat(3, 0)
    moved = shifted(Prediction(probabilities), logit_offset(0.2)).probabilities
    assert np.array_equal(moved > 0.5, probabilities > 0.2)
    assert logit_offset(0.5) == 0


def test_the_last_layer_takes_the_offsets_up() -> None:
    network = build_network(SMALL_MANIFEST.architecture, **SMALL_MANIFEST.arguments).eval()
    x = torch.randn(1, 4, 16, 16, 16)
    with torch.inference_mode():
        before = network(x)
    add_to_output(network, {"WT": 0.0, "TC": 1.0, "ET": -2.0})
    with torch.inference_mode():
        difference = (network(x) - before).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(difference, torch.tensor([0.0, 1.0, -2.0]))
    with pytest.raises(ModelError, match="can be calibrated"):
        add_to_output(build_network("unet"), dict.fromkeys(REGIONS, 0.0))


@pytest.mark.slow
def test_a_model_that_is_too_unsure_finds_its_threshold_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the network knows the truth, but gives it a probability of 0.38 and all else one of 0.33."""
    monkeypatch.setattr(output_calibration, "SCAN_SPACING", 4.0)
    monkeypatch.setattr(output_calibration, "FIRST_SEED", output_calibration.FIRST_SEED + 5)  # with all three regions
    bundle = load_bundle(small_bundle(tmp_path / "tiny", COARSE))
    truths = {}
    true_regions = output_calibration.true_regions

    def predicted(prepared, *_):  # type: ignore[no-untyped-def]
        truth = true_regions(truths["now"], prepared.grid)
        return Prediction(np.where(truth, 0.38, 0.33).astype(np.float32)), None

    made = output_calibration.synthetic_study

    def study(patient):  # type: ignore[no-untyped-def]
        scans, truths["now"] = made(patient)
        return scans, truths["now"]

    monkeypatch.setattr(output_calibration, "synthetic_patient", cache(output_calibration.synthetic_patient))
    monkeypatch.setattr(output_calibration, "synthetic_study", study)
    monkeypatch.setattr(output_calibration, "predict", predicted)
    assert best_thresholds(bundle, 3) == dict.fromkeys(REGIONS, 0.35)
    before = bundle.build().state_dict()["head.2.bias"]
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["output_calibration", "--model", str(tmp_path / "tiny"), "--patients", "3"])
        main()
    after = load_bundle(tmp_path / "tiny")
    offset = 2 * logit_offset(0.35)
    assert after.manifest.training["logit_offsets"] == pytest.approx(dict.fromkeys(REGIONS, offset), abs=2e-3)
    torch.testing.assert_close(after.build().state_dict()["head.2.bias"], before + offset, rtol=0, atol=2e-3)


def test_a_threshold_that_marks_what_is_not_there_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the network gives a whole patient without any tumor a probability of 0.12."""
    monkeypatch.setattr(output_calibration, "SCAN_SPACING", 4.0)
    monkeypatch.setattr(output_calibration, "true_regions", lambda truth, grid: np.zeros((3, *grid.size[::-1]), bool))

    def predicted(prepared, *_):  # type: ignore[no-untyped-def]
        return Prediction(np.full((3, *prepared.brain.shape), 0.12, np.float32)), None

    monkeypatch.setattr(output_calibration, "predict", predicted)
    assert best_thresholds(load_bundle(small_bundle(tmp_path / "tiny", COARSE)), 1) == dict.fromkeys(REGIONS, 0.15)
