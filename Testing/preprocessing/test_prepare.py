from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scan_fixtures import GRID, REAL_PATIENT, SPACING, brain, needs_real_patient, study
from tokenunet.core.dice import dice
from tokenunet.core.errors import GridMismatchError, UnusableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing import align_study, check_sequences, prepare
from tokenunet.preprocessing.skull_stripping import is_stripped
from tokenunet.study.scans import Study, find_sequences, read_study
from tokenunet.synthesis.heads import HEAD_SPACING, synthetic_head

SPACE = ModelSpace(SEQUENCES, SPACING, "LPS")


def with_image(scans: Study, sequence: SequenceName, image: sitk.Image) -> Study:
    return replace(scans, scans=scans.scans | {sequence: replace(scans.scans[sequence], image=image)})


def moved(image: sitk.Image, x_mm: float) -> sitk.Image:
    result = sitk.Image(image)
    x, y, z = image.GetOrigin()
    result.SetOrigin((x + x_mm, y, z))
    return result


def test_the_brain_of_stripped_scans_is_all_that_is_not_background() -> None:
    prepared = prepare(study(), SPACE)
    np.testing.assert_array_equal(prepared.brain, brain())
    assert prepared.findings == ()


def test_a_background_other_than_zero_is_background() -> None:
    scans = study()
    for sequence, scan in study().scans.items():
        scans = with_image(scans, sequence, (scan.image - 500) / 200)
    prepared = prepare(scans, SPACE)
    np.testing.assert_array_equal(prepared.brain, brain())
    assert prepared.findings == ()
    assert check_sequences(scans) == []
    np.testing.assert_allclose(prepared.tensor, prepare(study(), SPACE).tensor, atol=1e-4)


def test_small_negative_values_belong_to_the_brain() -> None:
    scans = study()
    array = sitk.GetArrayFromImage(scans.scans["T1"].image)
    array[23, 28, 21] = -0.01
    prepared = prepare(with_image(scans, "T1", GRID.image(array)), SPACE)
    assert prepared.brain[23, 28, 21]


def test_of_a_head_with_its_skull_the_brain_is_taken_and_that_is_told() -> None:
    head, truth = synthetic_head(1, randomization=0.6)
    grid = replace(GRID, size=(80, 96, 80), spacing=(HEAD_SPACING,) * 3)
    scans = study()
    for number, sequence in enumerate(SEQUENCES):
        scans = with_image(scans, sequence, grid.image((head.numpy() ** (1 + number / 10)).astype(np.float32)))
    prepared = prepare(scans, ModelSpace(SEQUENCES, grid.spacing, "LPS"))
    assert prepared.brain_extracted
    assert "not_skull_stripped" in [f.code for f in prepared.findings]
    assert dice(prepared.brain, truth.numpy() > 0) > 0.85
    assert not prepared.tensor.numpy()[:, ~prepared.brain].any()


def test_scans_of_different_places_are_refused_by_name() -> None:
    scans = study()
    apart = with_image(scans, "FLAIR", moved(scans.scans["FLAIR"].image, 500))
    with pytest.raises(GridMismatchError, match=r"flair.nii.gz \(FLAIR\) shows only 0% of the brain"):
        prepare(apart, SPACE)


def of_upper_slices(scans: Study, sequence: SequenceName, share: float) -> Study:
    """The study with that share of a scan's slices, the upper ones."""
    image = scans.scans[sequence].image
    return with_image(scans, sequence, image[:, :, round((1 - share) * image.GetSize()[2]) :])


def test_a_slab_need_not_reach_as_far_as_the_reference_but_as_the_brain() -> None:
    scans = study()
    for sequence in SEQUENCES:
        padded = sitk.ConstantPad(scans.scans[sequence].image, [0, 0, 40], [0, 0, 10])
        scans = with_image(scans, sequence, padded if sequence == "T1ce" else scans.scans[sequence].image)
    prepared = prepare(scans, SPACE)
    assert prepared.findings == ()
    assert prepared.brain.sum() == brain().sum()


def test_what_a_scan_leaves_out_of_the_brain_is_told_and_does_not_disturb_the_rest() -> None:
    whole, cut = prepare(study(), SPACE), prepare(of_upper_slices(study(), "FLAIR", 0.7), SPACE)
    (finding,) = cut.findings
    assert finding.code == "partial_coverage"
    assert finding.message.startswith("flair.nii.gz (FLAIR) shows only 81% of the brain")
    np.testing.assert_array_equal(cut.brain, whole.brain)
    flair = SEQUENCES.index("FLAIR")
    first = round(0.3 * GRID.size[2])
    assert not cut.tensor[flair, :first].any()
    seen = cut.tensor[flair, first:][torch.from_numpy(cut.brain[first:])]
    assert float(seen.mean()) == pytest.approx(0, abs=1e-4)
    assert float(seen.std()) == pytest.approx(1, abs=1e-4)
    with pytest.raises(GridMismatchError, match="shows only"):
        prepare(of_upper_slices(study(), "FLAIR", 0.35), SPACE)


def test_prepare_calls_no_part_of_a_stripped_brain_a_whole_head() -> None:
    """Its largest slice is at the end of its field of view, as in a slab of a head."""
    cut = of_upper_slices(study(), "FLAIR", 0.54)
    assert not is_stripped(cut.scans["FLAIR"].image)
    assert [finding.code for finding in prepare(cut, SPACE).findings] == ["partial_coverage"]


@pytest.mark.parametrize("raw", ["FLAIR", "T1ce"])
def test_where_some_scans_are_stripped_they_say_where_the_brain_is(raw: SequenceName) -> None:
    array = sitk.GetArrayFromImage(study().scans[raw].image)
    head = np.where(brain(), array, 300 + 100 * (np.arange(array.size).reshape(array.shape) % 7))
    prepared = prepare(with_image(study(), raw, GRID.image(head.astype(np.float32))), SPACE)
    np.testing.assert_array_equal(prepared.brain, brain())
    assert not prepared.brain_extracted
    (finding,) = prepared.findings
    assert finding.code == "partly_skull_stripped"
    assert f"{raw} the whole head" in finding.message
    assert not prepared.tensor.numpy()[:, ~brain()].any()


def test_ripples_around_a_stripped_brain_are_background() -> None:
    scans = study()
    for sequence, scan in study().scans.items():
        array = sitk.GetArrayFromImage(scan.image)
        ripples = np.random.default_rng(0).uniform(-5e-4, 5e-4, array.shape) * array.max()
        scans = with_image(scans, sequence, GRID.image(np.where(brain(), array, ripples).astype(np.float32)))
    prepared = prepare(scans, SPACE)
    assert prepared.findings == ()
    np.testing.assert_array_equal(prepared.brain, brain())


def test_a_scan_on_another_grid_is_brought_to_the_reference() -> None:
    scans = study()
    fine = Grid.of(scans.scans["T2"].image).with_spacing((1.5, 1.5, 1.5))
    prepared = prepare(with_image(scans, "T2", fine.resample(scans.scans["T2"].image)), SPACE)
    assert prepared.grid == GRID
    assert prepared.other_grids == {"T2": fine}
    t2 = SEQUENCES.index("T2")
    inside = brain()
    correlation = np.corrcoef(prepared.tensor[t2].numpy()[inside], prepare(study(), SPACE).tensor[t2].numpy()[inside])
    assert correlation[0, 1] > 0.95


@pytest.mark.parametrize("background", [0.0, -1000.0])
@pytest.mark.parametrize("factor", [0.4, 1.6, 3.0])
def test_resampling_neither_grows_nor_darkens_the_rim_of_a_stripped_brain(background: float, factor: float) -> None:
    scans = study()
    for sequence, scan in study().scans.items():
        array = sitk.GetArrayFromImage(scan.image)
        values = np.where(np.arange(array.shape[2]) < array.shape[2] // 2, 100, 200)
        scans = with_image(scans, sequence, GRID.image(np.where(brain(), values, background).astype(np.float32)))
    x, y, z = (factor * s for s in SPACING)
    prepared = prepare(scans, ModelSpace(SEQUENCES, (x, y, z), "LPS"))
    assert prepared.brain.sum() * prepared.grid.voxel_ml == pytest.approx(brain().sum() * GRID.voxel_ml, rel=0.03)
    assert prepared.tensor.dtype == torch.float32
    ordered = prepared.tensor[0][torch.from_numpy(prepared.brain)].sort().values
    dark, bright = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    assert ordered[0] >= dark - 1e-4
    assert ordered[-1] <= bright + 1e-4


def test_headers_that_differ_in_their_last_digits_are_the_same_grid() -> None:
    scans = study()
    nudged = with_image(scans, "T2", moved(scans.scans["T2"].image, 1e-4))
    prepared = prepare(nudged, SPACE)
    assert prepared.other_grids == {}
    np.testing.assert_array_equal(prepared.tensor, prepare(scans, SPACE).tensor)


def test_the_chosen_reference_decides_the_grid() -> None:
    scans = study()
    shifted = with_image(scans, "T1", moved(scans.scans["T1"].image, 12))
    prepared = prepare(replace(shifted, reference="T1"), SPACE)
    assert prepared.grid.origin == (GRID.origin[0] + 12, *GRID.origin[1:])
    assert set(prepared.other_grids) == {"T1ce", "T2", "FLAIR"}


def test_a_scan_that_is_constant_inside_the_brain_is_refused() -> None:
    image = GRID.image(brain().astype(np.float32))
    with pytest.raises(UnusableImageError, match=r"t2.nii.gz is constant inside the brain"):
        prepare(with_image(study(), "T2", image), SPACE)


def test_a_few_extreme_voxels_change_nothing_and_are_told() -> None:
    array = sitk.GetArrayFromImage(study().scans["T2"].image)
    places = tuple(np.argwhere(brain())[1000:1010].T)
    usual = prepare(study(), SPACE)
    array[places] = 1e6
    prepared = prepare(with_image(study(), "T2", GRID.image(array)), SPACE)
    assert [f.code for f in prepared.findings] == ["extreme_voxels"]
    assert "10 voxels" in prepared.findings[0].message
    elsewhere = brain().copy()
    elsewhere[places] = False
    np.testing.assert_allclose(prepared.tensor.numpy()[:, elsewhere], usual.tensor.numpy()[:, elsewhere], atol=0.02)


def test_scans_that_do_not_say_how_they_lie_are_told() -> None:
    scans = study()
    lost = {s: replace(scan, placed=s != "T2") for s, scan in scans.scans.items()}
    findings = prepare(replace(scans, scans=lost), SPACE).findings
    assert [f.code for f in findings] == ["no_orientation"]
    assert "t2.nii.gz (T2)" in findings[0].message


def test_a_reference_that_ends_inside_the_brain_is_told_with_the_side() -> None:
    scans = study()
    top = np.flatnonzero(brain().any((1, 2)))[-1]
    for sequence, scan in scans.scans.items():
        scans = with_image(scans, sequence, scan.image[:, :, : int(top) - 5])
    (finding,) = prepare(scans, SPACE).findings
    assert finding.code == "brain_cut_off"
    assert "at its top (" in finding.message


@needs_real_patient
def test_a_real_stripped_patient_is_taken_as_it_is() -> None:
    scans = read_study(find_sequences(REAL_PATIENT / "brats_space"))
    prepared = prepare(scans, ModelSpace(SEQUENCES, (1.0, 1.0, 1.0), "LPS"))
    assert prepared.findings == ()
    assert prepared.grid == prepared.reference_grid
    inside = sitk.GetArrayFromImage(scans.scans["T2"].image)[prepared.brain].astype(np.float64)
    expected = (inside - inside.mean()) / inside.std()
    np.testing.assert_allclose(prepared.tensor[SEQUENCES.index("T2")].numpy()[prepared.brain], expected, atol=1e-3)


@needs_real_patient
def test_a_real_raw_patient_is_told_to_have_its_skull() -> None:
    scans = read_study(find_sequences(REAL_PATIENT / "raw"))
    prepared = prepare(scans, ModelSpace(SEQUENCES, (2.0, 2.0, 2.0), "LPS"), align_study(scans)[0])
    assert [f.code for f in prepared.findings] == ["not_skull_stripped"]
    assert 0.2 < prepared.brain.mean() < 0.8
