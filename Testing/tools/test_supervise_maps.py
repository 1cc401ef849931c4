"""The last stage of a training that ties TokenLearner maps to regions and leaves the segmentation as it is."""

import copy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import load_bundle
from tokenunet.core.channels import OptionalChannels
from tokenunet.core.errors import ModelError
from tokenunet.networks.token_unet import TokenUNet

from tools.attention_overlap import overlaps
from tools.supervise_maps import FrozenPatient, main, map_loss, relative_change, supervise


def frozen_patient(seed: int) -> FrozenPatient:
    """Each region adds 4 to one feature of its voxels."""
    generator = torch.Generator().manual_seed(seed)
    features = 0.3 * torch.randn(1, 16, 6, 6, 6, generator=generator)
    shares = torch.zeros(3, 6, 6, 6)
    for region in range(3):
        shares[region, 1:5, 1:5, 1 : 5 - region] = 1
        features[0, region] += 4 * shares[region]
    return FrozenPatient((features.half(),), shares, torch.ones(6, 6, 6, dtype=torch.bool))


def test_supervise_ties_maps_to_regions_and_keeps_the_features() -> None:
    torch.manual_seed(0)
    network = TokenUNet(channels=(4, 8, 8, 16), mixer="transformer", depth=1, heads=4, hidden=8)
    before = copy.deepcopy(network)
    supervise(network, [frozen_patient(seed) for seed in range(4)], steps=60, weight=0.1, learning_rate=1e-2)
    unseen = frozen_patient(9)
    features = unseen.features[0].float()
    with torch.no_grad():
        fused, maps = network.attend(features)
        wanted, earlier = before.attend(features)
    assert relative_change(fused, wanted, unseen.brain) < 0.05
    for region, shares in enumerate(unseen.shares):
        now, then = (overlaps(m.token_learner[0].numpy()[region, None], shares.numpy(), False) for m in (maps, earlier))
        assert now[0] > max(0.6, then[0] + 0.2)


def test_map_loss_is_least_for_an_even_spread_and_ignores_absent_regions() -> None:
    patient = frozen_patient(0)
    even = patient.shares / patient.shares.sum(dim=(1, 2, 3), keepdim=True)
    assert map_loss(even, patient) < 1e-4
    assert map_loss(torch.full((3, 6, 6, 6), 1 / 216), patient) > 3
    absent = replace(patient, shares=torch.zeros(3, 6, 6, 6))
    assert map_loss(even, absent) == 0


def test_main_writes_a_bundle_that_differs_in_its_tokens_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = (OptionalChannels(("FLAIR",), {}),)
    manifest = replace(SMALL_MANIFEST, optional_channels=allowed, second_pass_without=("T1ce",))
    source, output = small_bundle(tmp_path / "trained", manifest), tmp_path / "supervised"
    labels = np.zeros((24, 24, 24), np.uint8)
    labels[4:20, 4:20, 4:20], labels[8:16, 8:16, 8:16] = 2, 4
    (tmp_path / "prepared").mkdir()
    image = np.random.default_rng(0).normal(size=(4, 24, 24, 24)).astype(np.float16)
    np.savez(tmp_path / "prepared" / "one.npz", image=image, labels=labels)
    arguments = f"--model {source} --output {output} --prepared {tmp_path / 'prepared'} --patients 1 --steps 20"
    monkeypatch.setattr(sys, "argv", ["supervise_maps", *arguments.split()])
    main()
    before, after = load_bundle(source), load_bundle(output)
    assert after.manifest.training["supervised_maps"] == ["WT", "TC", "ET"]
    changed = {name.split(".")[0] for name in before.weights if not before.weights[name].equal(after.weights[name])}
    assert changed == {"learner", "mixer", "fuser"}


def test_main_refuses_a_network_without_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = small_bundle(tmp_path, replace(SMALL_MANIFEST, architecture="unet_star", arguments={"channels": [4, 8]}))
    monkeypatch.setattr(sys, "argv", ["supervise_maps", "--model", str(plain), "--output", str(tmp_path / "new")])
    with pytest.raises(ModelError, match="no map for each region"):
        main()
