"""Into the model's space and back: exact where grids match, within a voxel where they do not."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from scan_fixtures import blobs, synthetic_images
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import labels_from_regions
from tokenunet.core.sequences import SEQUENCES
from tokenunet.inference.overlays import with_overlays
from tokenunet.preprocessing import prepare, restore
from tokenunet.study.scans import Scan, Study

ORIENTATIONS = [
    "".join(letters[sign] for letters, sign in zip(axes, signs, strict=True))
    for axes in permutations(("LR", "PA", "SI"))
    for signs in product((0, 1), repeat=3)
]
TILTED = tuple(np.array(sitk.VersorTransform((0.3, 0.5, 0.8), 0.2).GetMatrix()))


def image_on(grid: Grid, seed: int) -> sitk.Image:
    """Noise in a box that stands for the brain, zero around it."""
    array = np.zeros(grid.size[::-1], np.float32)
    array[4:-4, 5:-5, 6:-6] = np.random.default_rng(seed).normal(100, 20, array[4:-4, 5:-5, 6:-6].shape)
    return grid.image(array)


def study_on(grid: Grid, **others: Grid) -> Study:
    return Study({s: Scan(image_on(others.get(s, grid), i), s, "") for i, s in enumerate(SEQUENCES)})


def model_space(spacing: float = 1.0, orientation: str = "LPS") -> ModelSpace:
    return ModelSpace(SEQUENCES, (spacing,) * 3, orientation)


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_matching_grids_are_never_resampled(orientation: str) -> None:
    """Values and labels come back bit by bit from any orientation, tilted ones included."""
    upright = Grid((68, 72, 70), (1.0, 1.0, 1.0), (-30.0, 12.5, 7.25), TILTED)
    native = Grid.of(sitk.DICOMOrient(image_on(upright, 0), orientation))
    study = study_on(native)
    prepared = prepare(study, model_space())
    assert prepared.grid.orientation == "LPS"

    expected = sitk.GetArrayFromImage(sitk.DICOMOrient(study.scans["T1"].image, "LPS"))
    brain = expected[expected != 0].astype(np.float64)
    normalized = (expected - brain.mean()) / brain.std(ddof=1)
    np.testing.assert_allclose(prepared.tensor[0].numpy()[expected != 0], normalized[expected != 0], atol=1e-4)

    truth = labels_from_regions(blobs(native) > 0.5)
    in_model_space = sitk.GetArrayFromImage(sitk.DICOMOrient(native.image(truth), "LPS"))
    probabilities = np.stack([in_model_space > 0, np.isin(in_model_space, (1, 4)), in_model_space == 4])
    result = restore(Prediction(probabilities.astype(np.float32)), prepared)
    np.testing.assert_array_equal(result.labels, truth)
    assert result.grid == native
    assert result.other_labels == {}


@pytest.mark.parametrize("spacing", [(0.9, 0.9, 1.1), (0.5, 0.5, 3.0), (1.4, 1.4, 1.4)])
def test_resampled_labels_come_back_within_a_voxel(spacing: tuple[float, float, float]) -> None:
    size = tuple(int(72 / s) for s in spacing)
    native = Grid(size, spacing, (-30.0, 12.5, 7.25), TILTED)  # type: ignore[arg-type]
    prepared = prepare(study_on(native), model_space())
    np.testing.assert_allclose(prepared.grid.spacing, 1.0)

    result = restore(Prediction(blobs(prepared.grid)), prepared)
    # The balls sit at the same place of the field of view, so both grids' own drawings must agree with each other.
    center = prepared.grid.index_to_lps[:3, :3] @ (np.array(prepared.grid.size) / 2.3) + prepared.grid.origin
    for region, radius in zip(result.regions, (16, 11, 6), strict=True):
        indices = np.indices(native.size[::-1]).reshape(3, -1)[::-1]
        points = native.index_to_lps[:3, :3] @ indices + native.index_to_lps[:3, 3:]
        scaled = np.linalg.norm((points - center[:, None]) / np.array([[1.0], [1.3], [0.8]]), axis=0)
        off_border = np.abs(scaled - radius).reshape(region.shape) > max(1.0, *spacing)
        inside = (scaled < radius).reshape(region.shape)
        np.testing.assert_array_equal(region[off_border], inside[off_border])


def test_every_other_native_grid_gets_labels_of_its_own() -> None:
    native = Grid((72, 72, 72), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    thick = native.with_spacing((1.0, 1.0, 4.0))
    prepared = prepare(study_on(native, FLAIR=thick), model_space())
    result = restore(Prediction(blobs(prepared.grid)), prepared)
    assert list(result.other_labels) == ["FLAIR"]
    labels, grid = result.other_labels["FLAIR"]
    assert grid == thick
    assert labels.shape == (18, 72, 72)
    assert (labels > 0).sum() * thick.voxel_ml == pytest.approx(result.volumes_ml["WT"], rel=0.05)


def test_an_ensembles_volumes_have_the_range_of_its_members_and_uncertainty_is_on_the_reference() -> None:
    native = Grid((72, 72, 36), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    prepared = prepare(study_on(native), model_space())
    small, large = blobs(prepared.grid), blobs(prepared.grid)
    small[0, :30] = 0  # the first member leaves out a part of whole tumor, and what of the core lies there
    members = np.stack([small, large, large])
    prediction = with_overlays(Prediction(members.mean(axis=0), None, members), prepared)
    result = restore(prediction, prepared)
    alone = [restore(Prediction(member), prepared) for member in (small, large)]
    assert result.volumes_range_ml == {
        name: tuple(sorted(one.volumes_ml[name] for one in alone)) for name in result.volumes_ml
    }
    low, high = result.volumes_range_ml["WT"]
    assert low < result.volumes_ml["WT"] < high
    assert alone[0].volumes_range_ml == {}
    assert alone[0].overlays == ()
    (uncertainty,) = result.overlays
    assert uncertainty.grid == native
    changed = alone[0].regions[0] != alone[1].regions[0]
    assert uncertainty.array[changed].min() > 0.2
    assert uncertainty.array[16:].max() < 1e-6  # from 32 mm on all members say the same


def test_volumes_of_the_parts_are_those_of_their_labels() -> None:
    native = Grid((72, 72, 72), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    prepared = prepare(study_on(native), model_space())
    result = restore(Prediction(blobs(prepared.grid)), prepared)
    counted = {name: float((result.labels == value).sum()) / 1000 for name, value in (("NCR", 1), ("ED", 2), ("ET", 4))}
    assert {name: result.volumes_ml[name] for name in counted} == pytest.approx(counted, abs=1e-3)


def test_channels_come_in_the_models_order() -> None:
    images = synthetic_images()
    study = Study({s: Scan(image, s, "") for s, image in images.items()})
    forward = prepare(study, ModelSpace(SEQUENCES, (4.0,) * 3, "LPS")).tensor
    backward = prepare(study, ModelSpace(SEQUENCES[::-1], (4.0,) * 3, "LPS")).tensor
    np.testing.assert_array_equal(forward.numpy(), backward.numpy()[::-1])


def test_each_channel_is_normalized_inside_the_brain_and_zero_outside() -> None:
    study = Study({s: Scan(image, s, "") for s, image in synthetic_images().items()})
    prepared = prepare(study, model_space(4.0))
    for channel in prepared.tensor.numpy():
        assert channel[prepared.brain].mean() == pytest.approx(0, abs=1e-4)
        assert channel[prepared.brain].std() == pytest.approx(1, abs=1e-3)
        assert not channel[~prepared.brain].any()
    assert prepared.findings == ()


def test_regions_are_nested_whatever_the_probabilities() -> None:
    native = Grid((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    prepared = prepare(study_on(native), model_space())
    noise = np.random.default_rng(0).random((3, 40, 40, 40)).astype(np.float32)
    whole, core, enhancing = restore(Prediction(noise), prepared).regions
    assert (core <= whole).all()
    assert (enhancing <= core).all()
