"""The probe and the calibration of the review in a bundle, and what a run makes of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import ModelBundle, load_bundle, save_bundle, save_review
from tokenunet.bundle.files import PROBE_NAME
from tokenunet.bundle.store import DEFAULT_MODEL, find_manifest, import_model
from tokenunet.core.errors import ModelError, UnusableWeightsError
from tokenunet.core.grid import Grid
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.inference.review import review
from tokenunet.networks.probe import Probe
from tokenunet.preprocessing import Prepared, restore
from tokenunet.review.calibration import IntervalModel, LinearModel, ReviewCalibration

INTERVAL = IntervalModel(LinearModel({"log_ml": 0.1}, 1.0), LinearModel({}, 0.0), -0.5, 0.5)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = small_bundle(tmp_path / "model")
    calibration = ReviewCalibration(
        weights_sha256=load_bundle(folder).manifest.weights_sha256,
        calibrated_on="made-up patients",
        candidate=LinearModel({"from_probe": 1.0}, 0.0),
        least_probability=0.2,
        dice=dict.fromkeys(("WT", "TC", "ET"), INTERVAL),
        volume=dict.fromkeys(("WT", "TC", "ET"), INTERVAL),
    )
    torch.manual_seed(0)
    probe = Probe(16, 8)
    probe.weight.normal_()
    probe.fine_weight.normal_(std=3)
    save_review(folder, probe, calibration)
    return folder


def test_review_comes_back_as_it_was_stored(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.review is not None
    assert loaded.review.dice["TC"] == INTERVAL
    assert loaded.probe is not None
    assert loaded.probe.fine_weight.abs().sum() > 0
    loaded.build()


def test_bundle_without_review_has_none(tmp_path: Path) -> None:
    loaded = load_bundle(small_bundle(tmp_path / "plain"))
    assert loaded.review is None
    assert loaded.probe is None


def test_review_of_other_weights_is_not_used(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    other = loaded.build()
    with torch.no_grad():
        other.head[-1].bias += 1  # type: ignore[index]
    save_bundle(bundle, loaded.manifest, [other])
    assert load_bundle(bundle).review is None
    assert load_bundle(bundle).probe is None


def test_review_of_the_default_model_fits_its_weights() -> None:
    manifest = find_manifest(DEFAULT_MODEL)
    assert manifest.review is not None
    assert manifest.review.weights_sha256 == manifest.weights_sha256, "run tools.fit_review"


def test_damaged_probe_and_calibration_are_refused(bundle: Path) -> None:
    (bundle / PROBE_NAME).write_bytes(b"damaged")
    with pytest.raises(UnusableWeightsError, match=PROBE_NAME):
        load_bundle(bundle)
    manifest = json.loads((bundle / "model.json").read_text())
    manifest["review"]["least_probability"] = "high"
    (bundle / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="not a finite number"):
        load_bundle(bundle)


def test_imported_bundle_keeps_its_review(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    assert load_bundle(import_model(bundle)).probe is not None


def test_run_reports_what_the_review_found(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    prepared = _prepared()
    prediction, _execution = predict(prepared, loaded, InferenceOptions(device="cpu"))
    assert prediction.probe is not None
    assert prediction.probe.grid.spacing == (32.0, 32.0, 32.0)
    np.testing.assert_allclose(prediction.probe.fine_grid.spacing, (16.0, 16.0, 16.0))
    found = review(prediction, prepared, restore(prediction, prepared), loaded)
    assert found is not None
    entries = found.to_json(unclaimed=["ET"])
    assert entries["review_calibrated_on"] == "made-up patients"
    assert "ET" not in entries["expected_dice"]
    for values in entries["expected_dice"].values():
        assert 0 < values["low"] < values["value"] < values["high"] < 1
    json.dumps(entries)
    assert set(np.unique(found.labels)) - {0} <= {entry["number"] for entry in entries["review_candidates"]}


def test_model_without_review_reports_nothing(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    plain = ModelBundle(replace(loaded.manifest, review=None), loaded.weights, "plain")
    prepared = _prepared()
    prediction, _execution = predict(prepared, plain, InferenceOptions(device="cpu"))
    assert prediction.probe is None
    assert review(prediction, prepared, restore(prediction, prepared), plain) is None


def _prepared() -> Prepared:
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randn(len(SMALL_MANIFEST.channels), 32, 32, 32, generator=generator)
    brain = np.ones((32, 32, 32), bool)
    grid = Grid((32, 32, 32), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Prepared(tensor, brain, grid, grid, {}, ())
