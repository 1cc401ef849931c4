"""What is measured of a model, by stand-ins for it on quick synthetic patients with voxels of 4 mm."""

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import NCR
from tokenunet.core.sequences import SEQUENCES
from tokenunet.evaluation import evidence
from tokenunet.evaluation.evidence import (
    AS_IT_IS,
    POSTPROCESSING,
    disturbed_row,
    gather,
    healthy_row,
    made,
    passes,
    tumor_row,
)
from tokenunet.evaluation.evidence_tables import as_markdown, summary
from tokenunet.evaluation.holdout import HoldOut, healthy_patients, size_class, tumor_patients
from tokenunet.evaluation.real_appearance import real_appearance_patients, with_real_appearance
from tokenunet.evaluation.robustness import conditions, without_channel
from tokenunet.evaluation.segmented import Predictor, brats_scores, segmented, true_regions
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.study.scans import Study
from tokenunet.synthesis import Kind, synthetic_patient
from tokenunet.training.samples.synthetic import VALIDATION_SEED

from tools.fit_review import FIRST_SEED as CALIBRATION_SEED
from tools.review_candidates import FIRST_SEED as REVIEW_SEED

SPACE = ModelSpace(SEQUENCES, (4.0, 4.0, 4.0), "LPS")
RING, SOLID, NODULAR, NON_ENHANCING, INFILTRATIVE = tumor_patients(5)
CONDITIONS = {condition.name: condition for condition in conditions(SPACE)}


@pytest.fixture(autouse=True)
def _quick_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "SCAN_SPACING", 4.0)


@cache
def patient(one: HoldOut) -> tuple[Study, sitk.Image]:
    return made(one)


def perfect(truth: sitk.Image) -> Predictor:
    return lambda prepared: Prediction(true_regions(truth, prepared.grid).astype(np.float32))


def bright(prepared: Prepared) -> Prediction:
    """Takes what is bright in FLAIR, T2 and T1ce for tumor: it depends on every voxel, and on no geometry."""
    flair, t2, t1ce = (prepared.tensor[SEQUENCES.index(name)].numpy() for name in ("FLAIR", "T2", "T1ce"))
    return Prediction(np.stack([flair > 1, t2 > 1, t1ce > 1]).astype(np.float32))


def nothing(prepared: Prepared) -> Prediction:
    return Prediction(np.zeros((3, *prepared.brain.shape), np.float32))


def test_the_hold_out_has_all_kinds_in_turn_and_seeds_of_its_own() -> None:
    kinds = [one.kind for one in tumor_patients(7)]
    assert kinds[:5] == [kind for kind in Kind if kind is not Kind.HEALTHY]
    assert kinds[5:] == kinds[:2]
    seeds = {one.seed for one in [*tumor_patients(1000), *healthy_patients(1000)]}
    assert len(seeds) == 2000
    assert all(abs(s - other) > 10**8 for s in seeds for other in (0, VALIDATION_SEED, CALIBRATION_SEED, REVIEW_SEED))
    assert all(one.kind is Kind.HEALTHY for one in healthy_patients(3))
    assert [size_class(ml) for ml in (0.1, 20, 59, 300)] == ["below 20 ml", "20 to 60 ml", "20 to 60 ml", "above 60 ml"]


def test_a_perfect_model_has_dice_1_in_its_classes() -> None:
    study, truth = patient(RING)
    row = tumor_row(RING, segmented(study, truth, SPACE, perfect(truth)))
    assert row.kind == "ring"
    assert row.dice[AS_IT_IS] == {"WT": 1.0, "TC": 1.0, "ET": 1.0}
    assert row.predicted_ml == row.volumes_ml
    assert row.volumes_ml["WT"] > row.volumes_ml["TC"] > row.volumes_ml["ET"] > 0
    labels = sitk.GetArrayViewFromImage(truth)
    assert row.volumes_ml["WT"] == pytest.approx((labels > 0).sum() * 0.064)


def test_regions_that_the_truth_lacks_have_no_dice() -> None:
    study, truth = patient(INFILTRATIVE)
    row = tumor_row(INFILTRATIVE, segmented(study, truth, SPACE, perfect(truth)))
    assert row.dice[AS_IT_IS] == {"WT": 1.0, "TC": None, "ET": None}


def test_healthy_brains_count_what_was_marked() -> None:
    one = healthy_patients(1)[0]
    study, truth = patient(one)
    assert not sitk.GetArrayViewFromImage(truth).any()
    assert set(healthy_row(one, segmented(study, truth, SPACE, nothing)).false_ml.values()) == {0.0}
    false_ml = healthy_row(one, segmented(study, truth, SPACE, bright)).false_ml
    assert false_ml[AS_IT_IS] > 1
    least = next(name for name in POSTPROCESSING if name.startswith("without"))
    assert false_ml[least] < false_ml[AS_IT_IS] < false_ml["holes filled"]


def test_a_missing_sequence_is_0_and_the_others_stay() -> None:
    prepared = prepare(patient(RING)[0], SPACE)
    for channel in range(4):
        tensor = without_channel(prepared, channel).tensor
        assert not tensor[channel].any()
        others = [c for c in range(4) if c != channel]
        assert (tensor[others] == prepared.tensor[others]).all()
    assert prepared.tensor.any()


def test_the_condition_without_a_sequence_reaches_the_model() -> None:
    study, truth = patient(RING)
    undisturbed = segmented(study, truth, SPACE, bright)
    seen = []

    def look(prepared: Prepared) -> Prediction:
        seen.append(prepared.tensor)
        return bright(prepared)

    for name in SEQUENCES:
        disturbed_row(RING, CONDITIONS[f"without_{name}"], study, truth, SPACE, look, undisturbed)
    assert [[bool(channel.any()) for channel in tensor] for tensor in seen] == [
        [channel != missing for channel in range(4)] for missing in range(4)
    ]


@pytest.mark.parametrize("one", [RING, SOLID], ids=lambda one: one.kind.value)
def test_orientation_changes_nothing_and_all_else_something(one: HoldOut) -> None:
    study, truth = patient(one)
    undisturbed = segmented(study, truth, SPACE, bright)
    rows = {
        name: disturbed_row(one, condition, study, truth, SPACE, bright, undisturbed)
        for name, condition in CONDITIONS.items()
    }
    turned = CONDITIONS["orientation"].change_study(study, 0).scans["T1"].image
    assert turned.GetSize() != study.scans["T1"].image.GetSize()
    assert rows["orientation"].changed_voxels == 0
    plain = tumor_row(one, undisturbed).dice[AS_IT_IS]
    assert rows["orientation"].dice == plain
    assert rows["without_T1"].dice == plain  # which the stand-in does not look at
    assert all(rows[name].changed_voxels > 0 for name in ("noise", "thick_slices", "bias_field", "without_FLAIR"))


def test_disturbances_are_as_strong_as_their_titles_say() -> None:
    study, _truth = patient(RING)
    before = {name: sitk.GetArrayFromImage(scan.image) for name, scan in study.scans.items()}
    noisy = CONDITIONS["noise"].change_study(study, 5)
    for name, scan in noisy.scans.items():
        brain = before[name] != 0
        added = sitk.GetArrayFromImage(scan.image) - before[name]
        assert not added[~brain].any()
        assert added[brain].std() == pytest.approx(0.5 * before[name][brain].std(), rel=0.02)
    thick = CONDITIONS["thick_slices"].change_study(study, 5)
    assert [scan.image.GetSpacing()[2] for scan in thick.scans.values()] == [4, 4, 4, 5]
    biased = sitk.GetArrayFromImage(CONDITIONS["bias_field"].change_study(study, 5).scans["T2"].image)
    ratio = (biased.sum(axis=(0, 2)) / np.maximum(before["T2"].sum(axis=(0, 2)), 1))[before["T2"].any(axis=(0, 2))]
    assert (np.diff(ratio) > 0).all()
    assert 1.7 < ratio[-1] / ratio[0] < 3


def test_everything_is_gathered_and_summed_up() -> None:
    calls = 0

    def counting(prepared: Prepared) -> Prediction:
        nonlocal calls
        calls += 1
        return bright(prepared)

    gathered = gather(SPACE, 2, (), counting)
    assert calls == passes(SPACE, 2, ()) == 2 + 1 + 1 + len(CONDITIONS)
    assert {row.condition for row in gathered.disturbed} == set(CONDITIONS)
    figures = summary(gathered, SPACE)
    assert figures["all"]["patients"] == sum(group["patients"] for group in figures["sizes"].values()) == 2
    assert [name for name, group in figures["kinds"].items() if group["patients"]] == ["ring", "solid"]
    assert figures["healthy"]["share_negligible"] == 0.0
    assert figures["robustness"]["orientation"]["loss"]["WT"]["mean"] == 0.0
    one = gathered.tumors[0]
    missing = next(row for row in gathered.disturbed if row.condition == "without_FLAIR")
    assert missing.seed == one.seed
    assert missing.dice["WT"] == 0.0
    lost = figures["robustness"]["without_FLAIR"]["loss"]["WT"]
    assert lost == {"mean": one.dice[AS_IT_IS]["WT"], "cases": 1}
    report = {"model": {"name": "Stand-in"}, "summary": figures, "real": []}
    text = as_markdown(report)
    assert "| without FLAIR | 1 |" in text
    assert "Real patients" not in text


def test_real_appearance_changes_the_tumor_and_not_its_place() -> None:
    one = real_appearance_patients(1)[0]
    painted = with_real_appearance(one, 4.0)
    usual = synthetic_patient(one.seed, 4.0, kind=one.kind)
    assert np.array_equal(painted.labels, usual.labels)
    assert (painted.images["FLAIR"] != usual.images["FLAIR"])[usual.labels == NCR].mean() > 0.5
    contrasts = [
        with_real_appearance(patient, 4.0).parameters.contrast.sequences for patient in real_appearance_patients(4)
    ]
    assert all(c["FLAIR"].core > c["FLAIR"].edema and c["T1"].core < c["T1"].edema for c in contrasts)
    assert all(c["T1ce"].enhancing > c["T1ce"].edema + 0.1 for c in contrasts)


def test_brats_scores_count_absent_regions() -> None:
    study, truth = patient(INFILTRATIVE)
    done = segmented(study, truth, SPACE, perfect(truth))
    assert brats_scores(done.predicted, done.truth, done.grid) == {"WT": 1.0, "TC": 1.0, "ET": 1.0}
    marked = done.predicted.copy()
    marked[1] = marked[0]
    assert brats_scores(marked, done.truth, done.grid) == {"WT": 1.0, "TC": 0.0, "ET": 1.0}
