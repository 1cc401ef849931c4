"""What the finished folds of an experiment say together."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, rankdata, wilcoxon
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.summary import (
    SCORES,
    SURFACE_MEASURES,
    CaseResult,
    compare,
    epoch_of_reduction,
    holm,
    summarize,
    write_summary,
)
from training_fixtures import EPOCHS, fabricated_experiment

ARCHITECTURES = ("token_unet_transformer", "unet", "unet_star")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return fabricated_experiment(tmp_path_factory.mktemp("summary") / "experiment", ARCHITECTURES, folds=3)


def written_dice(experiment: Experiment, architecture: str, score: str) -> list[dict[str, float]]:
    """Read without the code under test: a dictionary of cases for every fold."""
    files = sorted((experiment.folder / architecture).glob("fold_*/metrics.json"))
    return [{case["case"]: case["dice"][score] for case in json.loads(f.read_text())["cases"]} for f in files]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("score", SCORES)
def test_dice_is_mean_and_deviation_of_the_folds_means(experiment: Experiment, architecture: str, score: str) -> None:
    means = [np.mean(list(fold.values())) for fold in written_dice(experiment, architecture, score)]
    spread = summarize(experiment).architectures[architecture].dice[score]
    assert spread.mean == pytest.approx(np.mean(means))
    assert spread.std == pytest.approx(np.std(means, ddof=1))


def test_distances_of_surfaces_are_summarized_like_dice(experiment: Experiment) -> None:
    write_summary(experiment)
    summary = json.loads(experiment.summary.read_text())["architectures"]["unet"]
    with experiment.summary_table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["architecture"] == "unet"]
    for measure in SURFACE_MEASURES:
        for score in SCORES:
            folds = [
                [float(row[f"{measure}_{score}"]) for row in rows if row["fold"] == str(fold)] for fold in range(3)
            ]
            means = [np.mean(fold) for fold in folds]
            expected = {"mean": pytest.approx(np.mean(means)), "std": pytest.approx(np.std(means, ddof=1))}
            assert summary[measure][score] == expected


def test_experiments_without_distances_of_surfaces_are_read(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet", "unet_star"), folds=2)
    for job in experiment.jobs()[:2]:
        metrics = json.loads(job.metrics.read_text())
        for case in metrics["cases"]:
            del case["hd95_mm"], case["surface_dice"]
        job.metrics.write_text(json.dumps(metrics))
    write_summary(experiment)
    assert "hd95_mm" not in json.loads(experiment.summary.read_text())["architectures"]["unet"]
    with experiment.summary_table.open() as file:
        rows = list(csv.DictReader(file))
    assert {bool(row["hd95_mm_WT"]) for row in rows if row["fold"] == "0"} == {False}
    assert {bool(row["hd95_mm_WT"]) for row in rows if row["fold"] == "1"} == {True}


def test_every_pair_is_tested_on_its_shared_cases(experiment: Experiment) -> None:
    comparisons = summarize(experiment).comparisons
    expected = {(a, b, s) for a, b in itertools.combinations(ARCHITECTURES, 2) for s in SCORES}
    assert {(c.a, c.b, c.region) for c in comparisons} == expected
    for c in comparisons:
        a, b = ({n: d for fold in written_dice(experiment, x, c.region) for n, d in fold.items()} for x in (c.a, c.b))
        difference = np.array([a[name] - b[name] for name in sorted(a)])
        assert c.n == len(difference) == 18
        assert c.median_difference == pytest.approx(np.median(difference))
        assert c.p == pytest.approx(wilcoxon(difference).pvalue)
    ordered = sorted(comparisons, key=lambda c: c.p or 0)
    assert ordered[0].p_corrected == pytest.approx(min(1, 12 * (ordered[0].p or 0)))


def results(a: list[float], b: list[float]) -> list[CaseResult]:
    return [
        CaseResult(name, 0, f"case_{n}", f"case_{n}", dict.fromkeys(SCORES, value), 1.0)
        for name, values in (("a", a), ("b", b))
        for n, value in enumerate(values)
    ]


def test_p_is_that_of_all_signs_of_the_ranks() -> None:
    """The exact distribution, counted out."""
    a = [0.91, 0.80, 0.77, 0.85, 0.88, 0.79, 0.93, 0.70]
    b = [0.90, 0.82, 0.70, 0.80, 0.85, 0.75, 0.87, 0.60]
    difference = np.subtract(a, b)
    ranks = rankdata(abs(difference))
    sums = [np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=8)]
    least = min(ranks[difference > 0].sum(), ranks[difference < 0].sum())
    assert compare(results(a, b), ["a", "b"])[0].p == pytest.approx(min(1, 2 * np.mean(np.array(sums) <= least)))


def test_p_of_many_cases_is_close_to_the_normal_approximation() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(0.8, 0.05, 60), random.normal(0.79, 0.05, 60)
    ranks = rankdata(abs(a - b))
    z = (ranks[a > b].sum() - 60 * 61 / 4) / np.sqrt(60 * 61 * 121 / 24)
    assert compare(results(a.tolist(), b.tolist()), ["a", "b"])[0].p == pytest.approx(2 * norm.sf(abs(z)), abs=0.01)


@pytest.mark.parametrize(
    ("a", "b"),
    [([0.9] * 5, [0.8, 0.7, 0.6, 0.5, 0.4]), ([0.9] * 12, [0.9] * 12), ([1.0] * 9 + [0.9] * 5, [1.0] * 9 + [0.8] * 5)],
    ids=["too few", "all the same", "too few that differ"],
)
def test_there_is_no_test_where_it_could_not_say_anything(a: list[float], b: list[float]) -> None:
    for comparison in compare(results(a, b), ["a", "b"]):
        assert comparison.n == len(a)
        assert comparison.p is None
        assert comparison.p_corrected is None


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([1.0, 0.5, 0.2, 0.08, 0.0], 4),
        ([1.0, 0.05, 0.2, 0.0], 2),
        ([2.0, 1.0], 2),
        ([1.0], None),
        ([1.0, 0.2, 1.1], None),
        ([], None),
    ],
)
def test_the_epoch_of_90_percent_counts_from_the_first_loss_to_the_last(losses: list[float], epoch: int | None) -> None:
    assert epoch_of_reduction(losses) == epoch


def test_files_hold_every_case_and_the_summary(experiment: Experiment) -> None:
    write_summary(experiment)
    with (experiment.folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 18
    first = written_dice(experiment, ARCHITECTURES[0], "ET")[0]
    assert float(rows[0]["ET"]) == first[rows[0]["case"]]
    values = json.loads((experiment.folder / "summary.json").read_text())
    unet = values["architectures"]["unet"]
    assert [fold["fold"] for fold in unet["folds"]] == [0, 1, 2]
    assert set(unet["dice"]["mean"]) == {"mean", "std"}
    assert all(1 < epoch <= EPOCHS for epoch in unet["epoch_of_90_percent"].values())
    assert set(values["comparisons"][0]) == {"a", "b", "region", "median_difference", "p", "p_corrected", "n"}


def test_unfinished_folds_are_left_out(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ARCHITECTURES[:2], folds=3, finished=3)
    write_summary(experiment)
    summary = summarize(experiment)
    assert {name: list(a.folds) for name, a in summary.architectures.items()} == {
        "token_unet_transformer": [0, 1],
        "unet": [0],
    }
    assert summary.architectures["unet"].dice["WT"].std is None
    assert {c.n for c in summary.comparisons} == {6}


def test_an_experiment_with_nothing_finished_has_an_empty_summary(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", finished=0)
    write_summary(experiment)
    assert json.loads(experiment.summary.read_text()) == {"architectures": {}, "comparisons": []}
