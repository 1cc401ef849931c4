"""Overlays: what they must be, and how one file adds a group of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.core.errors import OverlayError
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay, OverlayGroup
from tokenunet.core.plugins import Plugins
from tokenunet.core.prediction import AttentionMaps, Prediction, ProbeMaps
from tokenunet.inference import overlays
from tokenunet.inference.overlays import overlay_groups, register_overlays, with_overlays
from tokenunet.io.overlay_files import list_overlays, read_overlays
from tokenunet.preprocessing import Prepared
from tokenunet.synthesis import synthetic_patient, write_patient

GRID = Grid((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
PLUGIN = """
import numpy as np
from tokenunet import register_overlays
from tokenunet.core.overlays import Overlay


@register_overlays("enhancement", title="Enhancement", description="T1ce minus T1, normalized.")
def enhancement(prediction, prepared):
    t1, t1ce = prepared.tensor[0].numpy(), prepared.tensor[1].numpy()
    yield Overlay(
        name="enhancement", title="Enhancement", group="enhancement", unit="standard deviations",
        range=(0, 3), colormap="heat", array=t1ce - t1, grid=prepared.grid,
    )
"""


def an_overlay(**changes: Any) -> Overlay:
    values = {"name": "noise", "title": "Noise", "group": "noise", "unit": "HU", "range": (0, 1), "colormap": "heat"}
    return Overlay(**(values | {"array": np.zeros((2, 3, 4), np.float32), "grid": GRID} | changes))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of plugins; what is registered is forgotten after the test."""
    overlay_groups()
    monkeypatch.setattr(overlays, "_registered", dict(overlays._registered))
    monkeypatch.setattr(overlays, "_plugins", Plugins("overlays"))
    monkeypatch.setenv("TOKENUNET_OVERLAYS", str(tmp_path / "plugins"))
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"array": np.zeros((4, 3, 2), np.float32)}, r"'noise' has the shape \(4, 3, 2\), its grid \(2, 3, 4\)"),
        ({"array": np.full((2, 3, 4), np.nan, np.float32)}, "not finite"),
        ({"name": "../noise"}, "cannot name an overlay"),
        ({"group": "a/b"}, "cannot name an overlay"),
        ({"range": (1.0, 1.0)}, "range 1.0 to 1.0"),
        ({"colormap": "rainbow"}, "unknown color map 'rainbow'"),
    ],
)
def test_overlay_that_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OverlayError, match=words):
        an_overlay(**changes)


def test_overlay_group_survives_the_index() -> None:
    group = OverlayGroup("noise", "Noise", "Nothing but noise.", (an_overlay(range=(-1, 1)),))
    again = OverlayGroup.from_json(json.loads(json.dumps(group.to_json())))
    assert again.to_json() == group.to_json()
    assert again.overlays[0].signed


@pytest.mark.parametrize("damage", [{"overlays": 3}, {"overlays": [{"name": 5}]}, {"title": None, "overlays": ["x"]}])
def test_overlay_index_that_is_damaged_is_refused(damage: dict[str, Any]) -> None:
    entry = OverlayGroup("noise", "Noise", "Nothing but noise.", (an_overlay(),)).to_json() | damage
    with pytest.raises(OverlayError, match="list of overlays is damaged"):
        OverlayGroup.from_json(entry)


def test_overlay_group_of_a_taken_name_is_refused(registry: Path) -> None:
    with pytest.raises(OverlayError, match="'token_fuser' is taken by tokenunet"):
        register_overlays("token_fuser", "Mine", "")(lambda prediction, prepared: ())
    with pytest.raises(OverlayError, match="cannot name a group"):
        register_overlays("my overlays", "Mine", "")


def test_overlays_that_are_wrong_are_named(registry: Path, prepared: Prepared) -> None:
    prediction = Prediction(np.zeros((3, *prepared.brain.shape), np.float32))
    far = replace(GRID, origin=(900.0, 0.0, 0.0))
    inside = replace(GRID, origin=tuple((prepared.grid.index_to_lps @ [20, 30, 25, 1])[:3]))
    made: list[Overlay] = []
    register_overlays("noise", "Noise", "")(lambda prediction, prepared: made)

    def refused(*overlays_made: Overlay, words: str) -> None:
        made[:] = overlays_made
        with pytest.raises(OverlayError, match=words):
            with_overlays(prediction, prepared)

    refused(an_overlay(grid=far), words="'noise' is located outside the scans")
    refused(an_overlay(grid=inside, group="other"), words="names the group 'other'")
    refused(an_overlay(grid=inside), an_overlay(grid=inside), words="name 'noise' is taken in the group 'noise'")
    made[:] = [an_overlay(grid=inside)]
    assert with_overlays(prediction, prepared).overlays == (made[0],)
    register_overlays("broken", "Broken", "")(lambda prediction, prepared: prediction.nothing)
    refused(an_overlay(grid=inside), words="'broken' cannot be computed: AttributeError")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patient(synthetic_patient(1, spacing=4.0), tmp_path_factory.mktemp("patients"))


def test_overlay_of_one_file_is_written_and_listed(registry: Path, patient: Path, tmp_path: Path) -> None:
    """One file in a folder is enough for the files, the run report and the Python result."""
    (registry / "enhancement.py").write_text(PLUGIN)
    model = small_bundle(tmp_path / "model", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))
    out = tmp_path / "out"
    command = ["segment", "--input", patient, "--output", out, "--model", model, "--device", "cpu"]
    assert main(list(map(str, command))) == 0
    report = json.loads((out / "run.json").read_text())
    (files,) = list_overlays(report, out)
    assert (files.group.title, files.group.overlays[0].range_text) == ("Enhancement", "0 to 3 standard deviations")
    assert files.paths == (out / "overlays" / "enhancement" / "enhancement.nii.gz",)
    overlay = read_overlays(report, out)["enhancement"]
    assert overlay.grid.same_as(Grid.of(sitk.ReadImage(out / "labels.nii.gz")))
    assert np.ptp(overlay.array) > 0


@pytest.mark.parametrize(
    ("tied", "titles"),
    [
        (None, ["TokenLearner 1", "TokenLearner 2", "TokenLearner 3"]),
        (["WT", "ET"], ["TokenLearner 1 (whole tumor)", "TokenLearner 2 (enhancing tumor)", "TokenLearner 3"]),
        (["edema"], ["TokenLearner 1", "TokenLearner 2", "TokenLearner 3"]),
        ({"WT": 1}, ["TokenLearner 1", "TokenLearner 2", "TokenLearner 3"]),
    ],
)
def test_supervised_maps_name_their_region(tied: Any, titles: list[str]) -> None:
    manifest = replace(SMALL_MANIFEST, training={} if tied is None else {"supervised_maps": tied})
    stack = np.ones((3, 2, 3, 4), np.float32)
    attention = AttentionMaps(stack, stack, GRID, manifest.supervised_maps)
    brain = np.ones((2, 3, 4), bool)
    prepared = Prepared(torch.zeros(4, 2, 3, 4), brain, GRID, GRID, {}, ())
    made = with_overlays(Prediction(np.zeros((3, 2, 3, 4), np.float32), attention), prepared).overlays
    assert [overlay.title for overlay in made if overlay.group == "token_learner"] == titles
    assert next(overlay.name for overlay in made if overlay.group == "token_learner") == "token_learner_1"
    assert next(overlay.title for overlay in made if overlay.group == "token_fuser") == "TokenFuser 1"


def test_sharper_maps_are_those_of_tied_maps_times_the_probability_above() -> None:
    """A map that is 1 below and 3 above, where the probe sees tumor in one column only."""
    coarse = np.broadcast_to(np.array([1.0, 3.0], np.float32)[:, None, None], (3, 2, 3, 4))
    logits = np.full((4, 6, 8), -20.0, np.float32)
    logits[:, 2, 3] = 20.0
    shares, fine_grid = np.zeros((4, 2, 3, 4), np.float32), Grid((8, 6, 4), (0.5,) * 3, (-0.25,) * 3, GRID.direction)
    prediction = Prediction(
        np.zeros((3, 2, 3, 4), np.float32),
        AttentionMaps(coarse, coarse, GRID, ("WT", "ET")),
        probe=ProbeMaps(shares, shares[0], GRID, logits, fine_grid),
    )
    prepared = Prepared(torch.zeros(4, 2, 3, 4), np.ones((2, 3, 4), bool), GRID, GRID, {}, ())
    sharper = [o for o in with_overlays(prediction, prepared).overlays if o.group == "token_learner_sharper"]
    assert [o.title for o in sharper] == [
        "TokenLearner 1 (whole tumor), sharper",
        "TokenLearner 2 (enhancing tumor), sharper",
    ]
    expected = np.zeros((4, 6, 8), np.float32)
    expected[:, 2, 3] = [1, 1.5, 2.5, 3]
    for overlay in sharper:
        assert overlay.grid == fine_grid
        np.testing.assert_allclose(overlay.array, expected, atol=1e-5)
    without = with_overlays(replace(prediction, probe=None), prepared).overlays
    assert "token_learner_sharper" not in {overlay.group for overlay in without}
