import itertools
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scan_fixtures import GRID, REAL_PATIENT, needs_real_patient, study
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing import check_sequences
from tokenunet.study.identify.image_features import sequences_by_features
from tokenunet.study.scans import Study, find_sequences, read_study
from tokenunet.synthesis import synthetic_patient

PAIRS = list(itertools.combinations(SEQUENCES, 2))


def swapped(scans: Study, one: SequenceName, other: SequenceName) -> Study:
    return replace(scans, scans=scans.scans | {one: scans.scans[other], other: scans.scans[one]})


def unnamed(scans: Study) -> Study:
    """Sources that say nothing of the sequence, so that only the content speaks."""
    return replace(scans, scans={s: replace(scan, source="volume.nii") for s, scan in scans.scans.items()})


def test_sequences_in_their_places_raise_no_warning() -> None:
    assert check_sequences(study()) == []


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_swap_is_seen_in_the_images(one: SequenceName, other: SequenceName) -> None:
    findings = check_sequences(swapped(unnamed(study()), one, other))
    assert {f.code for f in findings} == {"sequence_content"}
    assert sorted(f.message.split(" (")[0] for f in findings) == sorted(
        [f"The volume given as {one}", f"The volume given as {other}"]
    )


@pytest.mark.parametrize("one", ["T1", "T1ce"])
@pytest.mark.parametrize("other", ["T2", "FLAIR"])
def test_without_enhancement_only_the_swapped_two_are_named(one: SequenceName, other: SequenceName) -> None:
    scans = unnamed(study())
    t1, noise = scans.scans["T1"], unnamed(study(seed=1)).scans["T1ce"]
    plain = replace(t1, image=t1.image + 0.05 * noise.image)
    scans = replace(scans, scans=scans.scans | {"T1ce": plain})
    assert {f.code for f in check_sequences(scans)} == {"copied_scan"}
    messages = [f.message for f in check_sequences(swapped(scans, one, other)) if f.code == "sequence_content"]
    assert len(messages) == 2
    assert all(f"The volume given as {s} " in " ".join(messages) for s in (one, other))


@pytest.mark.parametrize(("one", "other"), [("T1", "T1ce"), ("T2", "FLAIR")])
@pytest.mark.parametrize("change", ["noise", "blur", "gamma", "other grid"])
def test_check_sequences_names_processed_copies(one: SequenceName, other: SequenceName, change: str) -> None:
    scans = unnamed(study())
    image = scans.scans[other].image
    array = sitk.GetArrayFromImage(image)
    noise = np.random.default_rng(0).normal(0, 0.02 * array.max(), array.shape).astype(np.float32)
    changed = {
        "noise": GRID.image(np.where(array > 0, array + noise, array)),
        "blur": sitk.SmoothingRecursiveGaussian(image, 2.0),
        "gamma": GRID.image(np.maximum(array, 0) ** 0.7),
        "other grid": Grid.of(image[1:-2, 2:, :-1]).resample(image),
    }[change]
    copied = replace(scans, scans=scans.scans | {one: replace(scans.scans[one], image=changed)})
    findings = [f.message for f in check_sequences(copied) if f.code == "copied_scan"]
    assert len(findings) == 1
    assert f"The volume given as {one} " in findings[0] and f"that given as {other} " in findings[0]


def test_a_swap_is_seen_in_the_names() -> None:
    findings = [f for f in check_sequences(swapped(study(), "T1", "T1ce")) if f.code == "sequence_name"]
    assert [f.message for f in findings] == [
        "t1ce.nii.gz was given as T1, but its name says T1ce.",
        "t1.nii.gz was given as T1ce, but its name says T1.",
    ]


def test_the_folder_above_does_not_speak_for_the_file() -> None:
    scans = unnamed(study())
    scans.scans["T1"] = replace(scans.scans["T1"], source="/data/t2_flair/volume.nii")
    assert check_sequences(scans) == []


def test_intensities_in_other_units_change_nothing() -> None:
    scans = unnamed(study())
    scans.scans["T2"] = replace(scans.scans["T2"], image=scans.scans["T2"].image * 0.001)
    assert check_sequences(scans) == []


def test_too_small_a_brain_is_not_judged() -> None:
    scans = unnamed(study())
    tiny = {s: replace(scan, image=sitk.Cast(scan.image, sitk.sitkFloat32)) for s, scan in scans.scans.items()}
    for scan in tiny.values():
        scan.image.SetSpacing((0.5, 0.5, 0.5))
    assert check_sequences(swapped(replace(scans, scans=tiny), "T1", "T2")) == []


@pytest.mark.parametrize("seed", [4, 9])
def test_synthetic_patients_of_odd_contrast_raise_no_warning(seed: int) -> None:
    images = synthetic_patient(seed, spacing=4.0).images
    assert sequences_by_features([images[s] for s in SEQUENCES]) == SEQUENCES
    for other in ("T1", "FLAIR"):
        exchanged = {s: images[{"T2": other, other: "T2"}.get(s, s)] for s in SEQUENCES}
        looks = sequences_by_features([exchanged[s] for s in SEQUENCES])
        assert looks is not None
        assert looks != SEQUENCES


@needs_real_patient
@pytest.mark.parametrize("copy", ["raw", "brats_space"])
def test_a_real_patient_raises_no_warning_and_its_swaps_do(copy: str) -> None:
    scans = unnamed(read_study(find_sequences(REAL_PATIENT / copy)))
    assert check_sequences(scans) == []
    for one, other in PAIRS:
        if copy == "raw" and (one, other) in (("T1", "T1ce"), ("T2", "FLAIR")):
            continue  # they drown in what skull, fat and the unregistered edges differ by
        assert len(check_sequences(swapped(scans, one, other))) >= 2, (one, other)
