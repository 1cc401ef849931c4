import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from monai.inferers import sliding_window_inference
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.core.errors import Cancelled, DeviceError, ModelError, UsageError
from tokenunet.core.prediction import Prediction
from tokenunet.inference.core_reach import within_reach, without_distant_core
from tokenunet.inference.crop import BrainCrop
from tokenunet.inference.network_run import region_probabilities
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.inference.second_pass import second_pass_findings, with_second_pass
from tokenunet.networks import architectures, build_network
from tokenunet.preprocessing import Prepared

CPU = InferenceOptions(device="cpu", precision="fp32")
WINDOWS = replace(CPU, mode="sliding_window")


def test_whole_brain_pass_equals_the_network_on_the_cropped_brain(bundle: ModelBundle, prepared: Prepared) -> None:
    prediction, execution = predict(prepared, bundle, CPU)
    view = BrainCrop.of_brain(prepared.brain, 8)
    assert view.size == (48, 64, 48)
    with torch.inference_mode():
        expected = view.paste(bundle.build()(view.cut(prepared.tensor)[None])[0].sigmoid())
    inside = prepared.brain
    np.testing.assert_allclose(prediction.probabilities[:, inside], expected.numpy()[:, inside], atol=1e-6)
    assert not prediction.probabilities[:, ~inside].any()
    assert (execution.mode, execution.device, execution.fallbacks) == ("single_pass", "cpu", ())


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_windows_give_what_monai_gives(bundle: ModelBundle, prepared: Prepared, overlap: float) -> None:
    prediction, _ = predict(prepared, bundle, replace(WINDOWS, overlap=overlap, attention_maps=True))
    view = BrainCrop.of_brain(prepared.brain, 8, (32, 32, 32))
    with torch.inference_mode():
        box = view.cut(prepared.tensor)[None]
        logits = sliding_window_inference(box, (32, 32, 32), 1, bundle.build(), overlap, mode="gaussian")
    inside = prepared.brain
    probabilities = torch.from_numpy(prediction.probabilities[:, inside]).double()
    expected = view.paste(logits[0]).numpy()[:, inside]
    np.testing.assert_allclose(torch.logit(probabilities).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_asking_for_maps_does_not_change_the_result(
    bundle: ModelBundle, prepared: Prepared, options: InferenceOptions
) -> None:
    without, _ = predict(prepared, bundle, options)
    with_maps, _ = predict(prepared, bundle, replace(options, attention_maps=True))
    assert without.attention is None
    assert with_maps.attention is not None
    np.testing.assert_array_equal(with_maps.probabilities, without.probabilities)


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_token_learner_maps_say_how_many_times_more_than_uniform(
    bundle: ModelBundle, prepared: Prepared, options: InferenceOptions
) -> None:
    prediction, _ = predict(prepared, bundle, replace(options, attention_maps=True))
    assert prediction.attention is not None
    learner = prediction.attention.token_learner
    assert learner.shape == prediction.attention.token_fuser.shape == (8, 6, 8, 6)
    assert (learner >= 0).all()
    # One softmax over the whole brain averages to exactly one; blended windows do so nearly.
    np.testing.assert_allclose(learner.mean((1, 2, 3)), 1, atol=1e-4 if options is CPU else 0.1)


def test_maps_of_a_window_do_not_depend_on_how_the_rest_was_cut(bundle: ModelBundle, prepared: Prepared) -> None:
    """A patient that is one window gives the same maps in both modes."""
    brain = np.zeros_like(prepared.brain)
    brain[10:42, 12:44, 9:41] = True
    small = replace(prepared, brain=brain, tensor=prepared.tensor * torch.from_numpy(brain))
    whole, windows = (predict(small, bundle, replace(o, attention_maps=True))[0].attention for o in (CPU, WINDOWS))
    assert whole is not None
    assert windows is not None
    assert whole.grid == windows.grid
    np.testing.assert_allclose(whole.token_learner, windows.token_learner, atol=1e-5)
    np.testing.assert_allclose(whole.token_fuser, windows.token_fuser, atol=1e-5)


def test_maps_lie_where_the_voxels_are_that_they_weigh(prepared: Prepared, bundle: ModelBundle) -> None:
    """Every coarse voxel's center is the center of its 8 x 8 x 8 voxels of the prepared grid."""
    prediction, _ = predict(prepared, bundle, replace(CPU, attention_maps=True))
    assert prediction.attention is not None
    view = BrainCrop.of_brain(prepared.brain, 8)
    coarse = prediction.attention.grid
    for corner in ((0, 0, 0), (3, 1, 2)):
        fine_index = [start + 8 * c + 3.5 for start, c in zip(view.start[::-1], corner, strict=True)]
        np.testing.assert_allclose(
            coarse.index_to_lps @ [*corner, 1], prepared.grid.index_to_lps @ [*fine_index, 1], atol=1e-9
        )


def test_results_are_the_same_to_the_last_bit(bundle: ModelBundle, prepared: Prepared) -> None:
    first, second = (predict(prepared, bundle, CPU)[0].probabilities for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_half_precision_changes_little(bundle: ModelBundle, prepared: Prepared, options: InferenceOptions) -> None:
    full, _ = predict(prepared, bundle, options)
    half, execution = predict(prepared, bundle, replace(options, precision="bf16"))
    assert execution.precision == "bf16"
    np.testing.assert_allclose(half.probabilities, full.probabilities, atol=0.03)


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_progress_rises_to_one(bundle: ModelBundle, prepared: Prepared, options: InferenceOptions) -> None:
    fractions: list[float] = []
    predict(prepared, bundle, options, fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.6
    assert fractions[-1] == 1


def member_bundle(ensemble: ModelBundle, member: int) -> ModelBundle:
    """One network of an ensemble as a model of its own."""
    return ModelBundle(replace(ensemble.manifest, members=1), ensemble.build(member).state_dict(), "member")


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_an_ensemble_says_the_mean_of_its_networks_and_how_far_they_differ(
    ensemble: ModelBundle, prepared: Prepared, options: InferenceOptions
) -> None:
    together, _ = predict(prepared, ensemble, options)
    alone = np.stack([predict(prepared, member_bundle(ensemble, k), options)[0].probabilities for k in range(3)])
    np.testing.assert_array_equal(together.members, alone)
    np.testing.assert_allclose(together.probabilities, alone.mean(axis=0), atol=1e-6)
    assert together.uncertainty is not None
    whole = alone[:, 0].astype(np.float64)
    expected = np.sqrt(((whole - whole.mean(axis=0)) ** 2).mean(axis=0))
    np.testing.assert_allclose(together.uncertainty, expected, atol=1e-6)
    assert together.uncertainty.dtype == np.float32
    assert together.uncertainty.max() > 0.001
    assert not together.uncertainty[~prepared.brain].any()


def test_one_network_has_nobody_to_disagree_with(bundle: ModelBundle, prepared: Prepared) -> None:
    prediction, _ = predict(prepared, bundle, CPU)
    assert prediction.members is None
    assert prediction.uncertainty is None


def test_an_ensembles_maps_are_those_of_its_first_network(ensemble: ModelBundle, prepared: Prepared) -> None:
    options = replace(CPU, attention_maps=True)
    together, first, second = (
        predict(prepared, b, options)[0].attention for b in (ensemble, *(member_bundle(ensemble, k) for k in (0, 1)))
    )
    assert together is not None
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(together.token_learner, first.token_learner)
    np.testing.assert_array_equal(together.token_fuser, first.token_fuser)
    assert not np.array_equal(together.token_learner, second.token_learner)


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_an_ensembles_progress_goes_over_all_its_networks(
    ensemble: ModelBundle, prepared: Prepared, options: InferenceOptions
) -> None:
    fractions: list[float] = []
    predict(prepared, ensemble, options, fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    for k in range(3):
        assert sum(k / 3 < f <= (k + 1) / 3 + 1e-9 for f in fractions) >= len(fractions) // 3 - 1


def test_only_one_network_of_an_ensemble_is_in_memory_at_a_time(
    ensemble: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    living: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
    most = 0
    build = ModelBundle.build

    def counted(self: ModelBundle, member: int = 0) -> torch.nn.Module:
        nonlocal most
        network = build(self, member)
        living.add(network)
        most = max(most, len(living))
        return network

    monkeypatch.setattr(ModelBundle, "build", counted)
    predict(prepared, ensemble, CPU)
    assert most == 1


@pytest.mark.parametrize("name", architectures())
def test_every_architecture_reports_its_progress(tmp_path: Path, prepared: Prepared, name: str) -> None:
    arguments = {"feature_size": 12} if name == "swin_unetr" else {}
    manifest = replace(SMALL_MANIFEST, architecture=name, arguments=arguments, patch_size=(64, 64, 64))
    fractions: list[float] = []
    predict(prepared, load_bundle(small_bundle(tmp_path / name, manifest)), CPU, fractions.append)
    assert len(fractions) >= 7
    assert fractions[-1] == 1


@pytest.mark.parametrize("options", [CPU, WINDOWS])
def test_a_run_can_be_cancelled_at_any_progress(
    bundle: ModelBundle, prepared: Prepared, options: InferenceOptions
) -> None:
    seen: list[float] = []

    def cancel(fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(prepared, bundle, options, cancel)
    assert seen[-1] < 1


@pytest.mark.parametrize("device", ["cuda:99", "quantum", "cpu:3"])
def test_a_device_that_is_not_there_is_named(bundle: ModelBundle, prepared: Prepared, device: str) -> None:
    with pytest.raises(DeviceError, match=device):
        predict(prepared, bundle, replace(CPU, device=device))


def test_maps_of_a_network_without_any_are_refused(tmp_path: Path, prepared: Prepared) -> None:
    manifest = replace(SMALL_MANIFEST, architecture="unet_star", arguments={})
    with pytest.raises(ModelError, match="no attention maps"):
        predict(prepared, load_bundle(small_bundle(tmp_path / "m", manifest)), replace(CPU, attention_maps=True))


def test_an_impossible_overlap_is_refused(bundle: ModelBundle, prepared: Prepared) -> None:
    with pytest.raises(UsageError, match=r"1\.0"):
        predict(prepared, bundle, replace(CPU, overlap=1.0))


def test_regions_come_in_the_bundles_order_and_leave_in_ours() -> None:
    logits = torch.randn(3, 2, 2, 2)
    shuffled = replace(SMALL_MANIFEST, regions=("ET", "WT", "TC"))
    torch.testing.assert_close(region_probabilities(logits, shuffled), logits[[1, 2, 0]].sigmoid())


def test_softmax_over_labels_gives_nested_regions() -> None:
    logits = torch.randn(4, 2, 2, 2)
    whole, core, enhancing = region_probabilities(logits, replace(SMALL_MANIFEST, activation="softmax"))
    background, necrotic, _, enhancing_only = logits.softmax(0)
    torch.testing.assert_close(whole, 1 - background)
    torch.testing.assert_close(core, necrotic + enhancing_only)
    torch.testing.assert_close(enhancing, enhancing_only)
    assert build_network("unet_star", out_channels=4).head[2].out_channels == 4


@pytest.mark.parametrize(
    ("whole", "core", "enhancing", "raised"),
    [(800, 600, 0, [0, 1]), (800, 600, 600, [0]), (800, 300, 0, [0]), (800, 600, 300, [0, 1]), (400, 0, 0, [])],
)
def test_second_pass_adds_to_a_tumor_and_to_a_core_that_hardly_enhances(
    whole: int, core: int, enhancing: int, raised: list[int]
) -> None:
    manifest = replace(SMALL_MANIFEST, spacing=(1.0, 1.0, 1.0), second_pass_without=("T1ce",))
    first, brain = torch.full((1, 3, 20, 20, 20), -1.0), torch.ones(1, 20, 20, 20, dtype=torch.bool)
    for region, voxels in enumerate((whole, core, enhancing)):
        first[0, region].flatten()[:voxels] = 1
    brain[:, 10:] = False
    first[:, 2, 10:] = 1  # outside of the brain, where it does not count
    result = with_second_pass(first, torch.full_like(first, 3.0), brain, manifest)
    assert [region for region in range(3) if (result[:, region] > first[:, region]).any()] == raised
    assert (result >= first).all()


@pytest.mark.parametrize(
    ("marked", "alone_ml", "warns"),
    [(0, 2.0, True), (400, 2.0, True), (600, 2.0, False), (0, 0.4, False), (0, None, False)],
)
def test_a_tumor_that_only_the_second_pass_found_is_a_warning(marked: int, alone_ml: float | None, warns: bool) -> None:
    manifest = replace(SMALL_MANIFEST, spacing=(1.0, 1.0, 1.0), second_pass_without=("T1ce",))
    probabilities = np.zeros((3, 10, 10, 10), np.float32)
    probabilities[0].flat[:marked] = 0.9
    findings = list(second_pass_findings(Prediction(probabilities, second_pass_ml=alone_ml), manifest))
    assert [finding.code for finding in findings] == ["found_by_second_pass"] * warns
    assert not warns or "without T1ce the network finds 2.0 ml" in findings[0].message


def test_second_pass_adds_to_the_whole_tumor_and_takes_nothing_away(tmp_path: Path, prepared: Prepared) -> None:
    single = load_bundle(small_bundle(tmp_path / "single"))
    double = load_bundle(small_bundle(tmp_path / "double", replace(SMALL_MANIFEST, second_pass_without=("T1ce",))))
    without = replace(prepared, tensor=prepared.tensor.clone())
    without.tensor[1] = 0
    first, second = (torch.from_numpy(predict(p, single, CPU)[0].probabilities).logit() for p in (prepared, without))
    fractions: list[float] = []
    both, execution = predict(prepared, double, CPU, fractions.append)
    expected = first.clone()
    expected[0] = torch.maximum(first[0], (first[0] + second[0]) / 2)  # there is enhancing tumor: not in the core
    inside = prepared.brain
    np.testing.assert_allclose(both.probabilities[:, inside], expected.sigmoid().numpy()[:, inside], atol=1e-5)
    assert (expected[0] > first[0])[inside].any()
    assert execution.passes == 2
    assert fractions == sorted(fractions) and fractions[-1] == 1
    for patient, options in ((prepared, replace(CPU, fast=True)), (without, CPU)):
        fast, execution = predict(patient, double, options)
        np.testing.assert_array_equal(fast.probabilities, predict(patient, single, CPU)[0].probabilities)
        assert execution.passes == 1


@pytest.mark.parametrize(("enhancing", "brain_ends", "kept"), [(12, 40, 22), (12, 5, 15), (3, 40, 40), (0, 40, 40)])
def test_a_core_that_enhances_reaches_no_farther_than_the_limit(enhancing: int, brain_ends: int, kept: int) -> None:
    manifest = replace(SMALL_MANIFEST, spacing=(1.0, 2.0, 1.0), core_reach_mm=20.0)
    logits = torch.full((1, 3, 10, 40, 10), -3.0)
    logits[:, 1, :, :40] = 2.0
    logits[:, 2, :, :enhancing] = 2.0
    brain = torch.zeros(1, 10, 40, 10, dtype=torch.bool)
    brain[:, :, :brain_ends] = True
    result = without_distant_core(logits, brain, manifest)
    assert torch.equal(result[:, ::2], logits[:, ::2])
    assert ((result[0, 1] > 0).sum(dim=1) == kept).all()
    assert (result[0, 1][result[0, 1] != logits[0, 1]] == -1).all()


@pytest.mark.parametrize("gap_mm", [0, 16])
def test_necrosis_is_within_reach_however_wide_and_also_of_a_rim_with_a_gap(gap_mm: int) -> None:
    z, y, x = (axis * size for axis, size in zip(np.indices((40, 50, 30)), (2.0, 1.6, 2.5), strict=True))
    radius = np.sqrt((z - 40) ** 2 + (y - 40) ** 2 + (x - 36) ** 2)
    cavity, rim = radius < 22, (radius >= 22) & (radius <= 26)
    rim &= ~((z > 40) & (np.sqrt((y - 40) ** 2 + (x - 36) ** 2) < gap_mm))
    near = within_reach(rim, 8.0, (2.5, 1.6, 2.0))
    assert (near | ~cavity).all() if not gap_mm else (cavity & near).sum() > 0.95 * cavity.sum()
    assert near[(radius > 26) & (radius < 30) & (z < 40)].all()
    assert not near[radius > 38].any()


def test_a_fast_run_does_not_limit_the_core(tmp_path: Path, prepared: Prepared) -> None:
    limited = load_bundle(small_bundle(tmp_path / "limited", replace(SMALL_MANIFEST, core_reach_mm=1.0)))
    free = load_bundle(small_bundle(tmp_path / "free"))
    expected = predict(prepared, free, CPU)[0].probabilities
    core = predict(prepared, limited, CPU)[0].probabilities[1]
    assert (core <= expected[1]).all() and (core < expected[1]).any()
    np.testing.assert_array_equal(predict(prepared, limited, replace(CPU, fast=True))[0].probabilities, expected)
