"""Skull-stripped scans of one grid: masks of their own, padding, and scans that do not show the same place."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scan_fixtures import GRID, SPACING, brain, study
from test_prepare import with_image
from tokenunet.core.background import find_padding
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing import align_study, prepare
from tokenunet.preprocessing.skull_stripping import is_stripped
from tokenunet.study.scans import as_scan, study_of

SPACE = ModelSpace(SEQUENCES, SPACING, "LPS")
OTHER_SPACE = ModelSpace(SEQUENCES, (4.0, 4.0, 4.0), "LPS")


@pytest.mark.parametrize("background", [0, -1024, 77])
@pytest.mark.parametrize("small", ["T1", "FLAIR"])
def test_prepare_takes_the_brain_that_all_scans_show(background: float, small: SequenceName) -> None:
    scans = study()
    inner = sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(brain().astype(np.uint8)), [1] * 3)) > 0
    for sequence in SEQUENCES:
        array = sitk.GetArrayFromImage(scans.scans[sequence].image)
        mask = inner if sequence == small else brain()
        scans = with_image(scans, sequence, GRID.image(np.where(mask, array, np.float32(background))))
    prepared = prepare(scans, SPACE)
    assert np.mean(prepared.brain != inner) < 1e-4
    (finding,) = prepared.findings
    assert finding.code == "own_brain_mask"
    assert finding.message.startswith(f"{small.lower()}.nii.gz ({small})")


@pytest.mark.parametrize(("mean", "deviation"), [(0, 10), (-1024, 3), (200, 15)])
@pytest.mark.parametrize("noisy", [SEQUENCES, ("T2",)], ids=["all", "one"])
def test_prepare_finds_brains_in_noise(mean: float, deviation: float, noisy: tuple[SequenceName, ...]) -> None:
    scans, generator = study(), np.random.default_rng(0)
    for sequence in noisy:
        array = sitk.GetArrayFromImage(scans.scans[sequence].image) + np.float32(mean)
        noise = generator.normal(mean, deviation, array.shape)
        scans = with_image(scans, sequence, GRID.image(np.where(brain(), array, noise).astype(np.float32)))
        assert is_stripped(scans.scans[sequence].image)
    prepared = prepare(scans, SPACE)
    assert not prepared.brain_extracted
    assert not prepared.findings
    assert np.mean(prepared.brain != brain()) < 1e-3


def test_is_stripped_tells_a_head_in_noise_from_a_brain() -> None:
    """Head and neck, that reach the lower end of the field of view."""
    z, y, x = np.indices(GRID.size[::-1])
    head = ((z - 23) / 24) ** 2 + ((y - 28) / 26) ** 2 + ((x - 21) / 20) ** 2 < 1
    head |= (z < 23) & (((y - 28) / 18) ** 2 + ((x - 21) / 16) ** 2 < 1)
    noise = np.abs(np.random.default_rng(0).normal(0, 10, head.shape))
    large = replace(GRID, spacing=(4.5, 4.5, 4.5))
    assert not is_stripped(large.image((np.where(head, 400, 0) + noise).astype(np.float32)))


@pytest.mark.parametrize(("sequence", "spacing"), [("FLAIR", (3.0, 3.0, 11.0)), ("T2", (12.0, 3.0, 3.0))])
def test_prepare_keeps_the_rim_that_thick_slices_leave_out(
    sequence: SequenceName, spacing: tuple[float, float, float]
) -> None:
    scans = study()
    thick = GRID.with_spacing(spacing)
    inside = GRID.image(brain().astype(np.float32))
    mask = sitk.Cast(thick.resample(inside, sitk.sitkNearestNeighbor), sitk.sitkFloat32)
    coarse = thick.resample(scans.scans[sequence].image + 100 * sitk.Cast(inside == 0, sitk.sitkFloat32))
    prepared = prepare(with_image(scans, sequence, coarse * mask), SPACE)
    assert not prepared.findings
    np.testing.assert_array_equal(prepared.brain, brain())
    channel = prepared.tensor[SEQUENCES.index(sequence)].numpy()
    assert channel[brain()].min() > -4  # no voxel of the brain counts as background


@pytest.mark.parametrize("padding", [-32768, -1024, 32767])
def test_as_scan_takes_padding_for_air(padding: float) -> None:
    y, x = np.indices(GRID.size[1::-1])
    outside = (x - 23) ** 2 + (y - 27) ** 2 > 22**2
    scans = {}
    for sequence, scan in study().scans.items():
        array = sitk.GetArrayFromImage(scan.image)
        array[:, outside] = padding
        scans[sequence] = as_scan(GRID.image(array), f"{sequence}.mha", "")
        assert [f.code for f in scans[sequence].findings] == ["padding"]
        assert f"{sequence}.mha" in scans[sequence].findings[0].message
        filled = sitk.GetArrayViewFromImage(scans[sequence].image)
        assert (filled[:, outside] == 0).all()
    assert set(study_of(scans).scans) == set(SEQUENCES)


@pytest.mark.parametrize("background", [-1024, -32768, 4095])
def test_a_background_that_reaches_the_brain_is_no_padding(background: float) -> None:
    for scan in study().scans.values():
        array = sitk.GetArrayFromImage(scan.image)
        assert find_padding(np.where(brain(), array, np.float32(background))) is None
        assert find_padding(array) is None


@pytest.mark.parametrize(("background", "sequences"), [(-3.4e38, ("FLAIR",)), (-1e10, ("T1", "T2")), (1e12, SEQUENCES)])
def test_prepare_is_not_disturbed_by_a_background_far_off(background: float, sequences: tuple[str, ...]) -> None:
    """Sums with it would lose the digits of the scan where it is resampled."""
    expected = prepare(study(), OTHER_SPACE)
    scans = study()
    for sequence in sequences:
        array = sitk.GetArrayFromImage(scans.scans[sequence].image)
        image = GRID.image(np.where(brain(), array, np.float32(background)))
        scans = with_image(scans, sequence, as_scan(image, "t.nii", "").image)
    prepared = prepare(scans, OTHER_SPACE)
    np.testing.assert_allclose(prepared.tensor.numpy(), expected.tensor.numpy(), atol=0.05)


@pytest.mark.parametrize(("background", "corners"), [(-1024, "rotated"), (-5, "padded"), (4095, "rotated")])
def test_prepare_takes_two_backgrounds_for_one(background: float, corners: str) -> None:
    """After a rotation, or a larger field of view, with 0 outside of a scan that has another background."""
    center = study().scans["T1"].image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in GRID.size])
    rotation = sitk.Euler3DTransform(center, 0, 0, 0.3)
    studies = []
    for value in (0, background):
        scans = study()
        for sequence, scan in study().scans.items():
            array = np.where(brain(), sitk.GetArrayFromImage(scan.image), np.float32(value))
            image = GRID.image(array)
            image = sitk.ConstantPad(image, [6] * 3, [6] * 3, 0.0) if corners == "padded" else image
            image = sitk.Resample(image, image, rotation, sitk.sitkLinear, 0.0) if corners == "rotated" else image
            scans = with_image(scans, sequence, as_scan(image, "t.nii", "").image)
        studies.append(prepare(scans, SPACE))
    expected, prepared = studies
    assert not prepared.brain_extracted
    overlap = (prepared.brain & expected.brain).sum() * 2 / (prepared.brain.sum() + expected.brain.sum())
    assert overlap > (0.999 if corners == "padded" else 0.93)  # interpolation widens the edge
    assert not prepared.findings


@pytest.mark.parametrize(("sequence", "shift_mm"), [("T2", 9.0), ("T1", -12.0)])
def test_align_notices_a_stripped_scan_in_another_place(sequence: SequenceName, shift_mm: float) -> None:
    scans = study()
    image = scans.scans[sequence].image
    moved = sitk.Resample(image, image, sitk.TranslationTransform(3, (shift_mm, 0, 0)))
    alignments, findings = align_study(with_image(scans, sequence, moved))
    assert {f.code for f in findings} == {"not_aligned"}
    assert f"{sequence.lower()}.nii.gz ({sequence})" in findings[0].message
    assert set(alignments) <= {sequence}
    assert align_study(scans) == ({}, ())
