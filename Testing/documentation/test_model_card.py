"""The model card states what the manifests of the shipped models hold."""

from pathlib import Path

import pytest
from tokenunet.bundle.bundle import load_bundle
from tokenunet.io.resources import resource

CARD = (Path(__file__).parents[2] / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["default", "synthetic_only"])
def test_model_card_names_weights_license_and_settings(name: str) -> None:
    manifest = load_bundle(resource(f"Models/{name}")).manifest
    words = " ".join(CARD.split())
    assert f"`{manifest.weights_sha256[:8]}`" in words
    assert f"licensed under {manifest.license}" in words
    assert f"at {manifest.spacing[0]} mm" in words
    for region, title in (("WT", "the whole tumor"), ("ET", "enhancing tumor")):
        least = manifest.least_evidence.get(region)
        assert least is None or f"{least} for {title}" in words
    if manifest.usual_evidence is not None:
        assert f"Tumors below {manifest.usual_evidence:g} are marked" in words
    if manifest.core_reach_mm is not None:
        assert f"core farther than {manifest.core_reach_mm:g} mm from enhancing tumor is left out" in words
    for channel, spread in manifest.least_spread.items():
        assert f"For both models {channel} is multiplied, by 1.6 at most" in words
        assert f"until its z-scores have a spread of {spread}:" in words
    for channel in manifest.second_pass_without:
        assert f"`{name}` makes a second pass without {channel}" in words
