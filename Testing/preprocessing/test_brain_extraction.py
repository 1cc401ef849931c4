import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from scan_fixtures import REAL_PATIENT, needs_real_patient, study
from tokenunet.core.grid import Grid
from tokenunet.io.files import sha256_of
from tokenunet.io.resources import resource
from tokenunet.preprocessing.skull_stripping import (
    NETWORK_SHAPE,
    check_brain,
    check_field_of_view,
    extract_brain,
    is_stripped,
)
from tokenunet.study.image_files import read_image
from tokenunet.synthesis.heads import HEAD_SPACING, synthetic_head

from tools.train_skull_stripping import VALIDATION_SEED, BrainTrainer, BrainTraining

SEEDS = tuple(VALIDATION_SEED + 2 * 10**6 + i for i in range(6))
"""Neither trained on, nor used to choose or to describe the weights."""
HEAD_GRID = Grid(NETWORK_SHAPE[::-1], (HEAD_SPACING,) * 3, (-100.0, -120.0, -80.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


@cache
def head(seed: int = SEEDS[0]) -> tuple[sitk.Image, sitk.Image]:
    """A scan of a whole head, not of the hardest, and its brain."""
    image, brain = synthetic_head(seed, randomization=0.6)
    return HEAD_GRID.image(image.numpy()), HEAD_GRID.image(brain.numpy().astype(np.uint8))


def dice(one: sitk.Image, other: sitk.Image) -> float:
    a, b = (sitk.GetArrayFromImage(mask) > 0 for mask in (one, other))
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def filled(grid: Grid, inside: NDArray[np.bool_]) -> sitk.Image:
    return grid.image(inside.astype(np.uint8))


def test_the_weights_that_ship_are_those_that_the_card_describes() -> None:
    weights = resource("BrainExtraction/weights.safetensors")
    card = json.loads(resource("BrainExtraction/card.json").read_text())
    assert card["weights_sha256"] == sha256_of(weights)
    assert weights.stat().st_size <= 3_000_000


def test_brains_of_unseen_heads_are_found() -> None:
    scores = [dice(extract_brain([image]), brain) for image, brain in map(head, SEEDS)]
    assert np.median(scores) > 0.93
    assert min(scores) > 0.85


@pytest.mark.parametrize("orientation", ["RAS", "PIR", "SLA"])
def test_the_mask_lies_on_the_image_in_any_orientation(orientation: str) -> None:
    image, _ = head()
    turned = sitk.DICOMOrient(image, orientation)
    mask = extract_brain([turned])
    assert Grid.of(mask).same_as(Grid.of(turned))
    assert dice(sitk.DICOMOrient(mask, "LPS"), extract_brain([image])) > 0.999


def test_oblique_slices_change_next_to_nothing() -> None:
    image, _ = head()
    oblique = sitk.Image(image)
    oblique.SetDirection(np.ravel(sitk.VersorRigid3DTransform((1, 2, 3), 0.3).GetMatrix()).tolist())
    mask = sitk.GetArrayFromImage(extract_brain([oblique]))
    assert dice(HEAD_GRID.image(mask), extract_brain([image])) > 0.999


def test_a_head_need_not_be_in_the_middle() -> None:
    image, brain = head()
    padded = [sitk.ConstantPad(i, (40, 0, 0), (0, 60, 30), 0.0) for i in (image, brain)]
    assert dice(extract_brain([padded[0]]), padded[1]) > dice(extract_brain([image]), brain) - 0.01


def test_scans_on_several_grids_give_one_mask_on_the_first_one() -> None:
    image, brain = head()
    thick = Grid.of(image).with_spacing((1.0, 1.0, 6.0))
    mask = extract_brain([thick.resample(image), image])
    assert Grid.of(mask).same_as(thick)
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert dice(mask, thick.resample(brain, sitk.sitkNearestNeighbor)) > 0.9


@pytest.mark.parametrize("what", ["head", "noise"])
def test_the_brain_is_one_piece_without_holes(what: str) -> None:
    noise = HEAD_GRID.image(np.random.default_rng(0).rayleigh(5, NETWORK_SHAPE).astype(np.float32))
    mask = extract_brain([head()[0] if what == "head" else noise])
    assert sitk.GetArrayFromImage(sitk.ConnectedComponent(mask)).max() == 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.BinaryFillhole(mask)), sitk.GetArrayFromImage(mask))


@pytest.mark.parametrize("noise", [0.1, 0.15])
def test_is_stripped_knows_heads_and_brains_in_noise(noise: float) -> None:
    """Dark parts of a head do not stand out of strong noise; the others have the volume of a brain."""
    generator = np.random.default_rng(0)
    for seed in SEEDS[:3]:
        image, brain = (sitk.GetArrayFromImage(part) for part in head(seed))
        real, imaginary = (generator.normal(0, noise, image.shape) for _ in range(2))
        assert not is_stripped(HEAD_GRID.image(np.hypot(image + real, imaginary).astype(np.float32)))
        if noise < 0.15:
            assert is_stripped(HEAD_GRID.image(np.hypot(image * brain + real, imaginary).astype(np.float32)))


def test_intensities_may_have_any_scale() -> None:
    image, _ = head()
    assert dice(extract_brain([image * 1234.0]), extract_brain([image])) > 0.999


def test_the_same_scan_gives_the_same_mask() -> None:
    image, _ = head()
    one, other = (sitk.GetArrayFromImage(extract_brain([image])) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_seed_makes_one_head() -> None:
    image, brain = synthetic_head(SEEDS[1])
    torch.manual_seed(0)
    again, brain_again = synthetic_head(SEEDS[1])
    assert torch.equal(image, again)
    assert torch.equal(brain, brain_again)
    assert not torch.equal(image, synthetic_head(SEEDS[2])[0])


def test_stripped_scans_are_told_from_heads() -> None:
    image, brain = head()
    stripped = sitk.Mask(image, brain)
    assert is_stripped(stripped)
    assert is_stripped(stripped - 500.0)
    assert not is_stripped(image)
    assert not is_stripped(sitk.Mask(image, sitk.BinaryErode(brain, [20] * 3)))  # far less than a brain
    slab = image[:, :, 38:]
    dark_air = sitk.Mask(slab, sitk.BinaryFillhole(slab > 0.05))
    assert 200 < np.count_nonzero(sitk.GetArrayViewFromImage(dark_air)) * HEAD_GRID.voxel_ml < 2200
    assert not is_stripped(dark_air)
    assert all(is_stripped(scan.image) for scan in study().scans.values())


def test_implausible_brains_are_told() -> None:
    z, y, x = np.indices(NETWORK_SHAPE)
    ball = (z - 40) ** 2 + (y - 48) ** 2 + (x - 40) ** 2
    assert check_brain(filled(HEAD_GRID, ball < 27**2)) == ()
    assert [f.code for f in check_brain(filled(HEAD_GRID, ball < 15**2))] == ["implausible_brain"]


def test_sides_on_which_a_brain_is_cut_are_named() -> None:
    z, y, x = np.indices(NETWORK_SHAPE)
    ball = filled(HEAD_GRID, (z - 40) ** 2 + (y - 48) ** 2 + (x - 40) ** 2 < 30**2)
    assert check_field_of_view(ball) == ()
    assert check_field_of_view(ball[:, :, 11:]) == (), "the lowest part may be missing"
    (finding,) = check_field_of_view(sitk.DICOMOrient(ball[20:, :, :-16], "RAS"))
    assert "its top (" in finding.message
    assert "and right (" in finding.message
    assert "bottom" not in finding.message


def test_a_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    training = BrainTraining(steps=2, validation_cases=1, validate_every=2)
    whole = BrainTrainer(training, tmp_path / "whole")
    whole.run(workers=0)
    assert (tmp_path / "whole" / "weights.safetensors").is_file()

    stopped = BrainTrainer(training, tmp_path / "stopped")
    stopped.run(until=1, workers=0)
    resumed = BrainTrainer(training, tmp_path / "stopped")
    resumed.resume()
    assert resumed.step == 1
    resumed.run(workers=0)
    for one, other in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(one, other)


@needs_real_patient
@pytest.mark.parametrize("sequence", ["t1", "t1ce", "t2", "flair"])
def test_a_real_brain_has_the_volume_that_brats_gives_it(sequence: str) -> None:
    """BraTS aligned and stripped the same scan; a rigid alignment keeps the volume."""
    raw, stripped = (read_image(REAL_PATIENT / folder / f"{sequence}.nii.gz") for folder in ("raw", "brats_space"))
    assert is_stripped(stripped)
    assert not is_stripped(raw)
    mask = extract_brain([raw])
    assert check_brain(mask) == ()
    found_ml = sitk.GetArrayViewFromImage(mask).sum() * Grid.of(mask).voxel_ml
    assert found_ml == pytest.approx(np.count_nonzero(sitk.GetArrayViewFromImage(stripped)) / 1000, rel=0.1)
