"""Summary of an experiment's finished folds: ``summary.json`` and ``summary.csv``.

`summarize` reads the folder, and `write_summary` writes both files.
"""

import csv
import io
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tokenunet.core.regions import REGIONS
from tokenunet.io.files import write_text
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder

SCORES: tuple[str, ...] = (*REGIONS, "mean")
"""The three regions, and their mean."""

SURFACE_MEASURES: tuple[str, ...] = ("hd95_mm", "surface_dice")
"""Measured next to Dice; experiments of version 0.1 lack them."""

FEWEST_DIFFERENCES = 6
"""Fewest differing cases with which the exact two-sided test can have p < 0.05: the least p of n cases is 2 / 2**n."""


@dataclass(frozen=True)
class CaseResult:
    """Result of one validation case with the network of the fold that was not trained on it.

    Attributes:
        architecture: Name of the architecture.
        fold: Number of the fold.
        case: Name of the case.
        patient: Name of the patient.
        dice: Dice by name in `SCORES`.
        seconds: Duration of the inference in seconds.
        surface: Values by name in `SCORES`, by name in `SURFACE_MEASURES`; empty for folds of version 0.1.
    """

    architecture: str
    fold: int
    case: str
    patient: str
    dice: dict[str, float]
    seconds: float
    surface: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Mean and spread over folds.

    Attributes:
        mean: Mean.
        std: Sample standard deviation; None for a single fold.
    """

    mean: float
    std: float | None


@dataclass(frozen=True)
class ArchitectureSummary:
    """Summary of the finished folds of one architecture.

    Attributes:
        parameters: Number of trainable parameters.
        folds: Mean Dice over the cases of each finished fold, by name in `SCORES`.
        dice: Spread of the folds' means by name in `SCORES`.
        surface: Spread of the folds' means by name in `SCORES`, by name in `SURFACE_MEASURES`; empty if a fold lacks
            them.
        inference_seconds: Median duration of a case in seconds.
        peak_memory_bytes: Peak memory of the inference, of the device or, on a CPU, of the process.
        training_seconds: Duration of the training of all folds together in seconds.
        epoch_of_90_percent: Result of `epoch_of_reduction` by fold.
    """

    parameters: int
    folds: dict[int, dict[str, float]]
    dice: dict[str, Spread]
    inference_seconds: float
    peak_memory_bytes: int
    training_seconds: float
    epoch_of_90_percent: dict[int, int | None]
    surface: dict[str, dict[str, Spread]]

    def to_json(self) -> dict[str, Any]:
        """Return the values for ``summary.json``."""
        values = asdict(self)
        surface = values.pop("surface")
        return values | {"folds": [{"fold": f, "dice": dice} for f, dice in self.folds.items()]} | surface


@dataclass(frozen=True)
class Comparison:
    """Comparison of two architectures on their common cases.

    Attributes:
        a: Name of one architecture.
        b: Name of the other architecture.
        region: Name in `SCORES`.
        median_difference: Median difference of Dice, a minus b.
        p: P-value of the two-sided Wilcoxon signed-rank test; None if fewer than `FEWEST_DIFFERENCES` cases differ.
        p_corrected: P-value corrected by Holm's method for all tests of the experiment.
        n: Number of cases.
    """

    a: str
    b: str
    region: str
    median_difference: float
    p: float | None
    p_corrected: float | None
    n: int


@dataclass(frozen=True)
class Summary:
    """Summary of all finished folds of an experiment.

    Attributes:
        architectures: Summary by architecture with a finished fold, in the experiment's order.
        comparisons: Comparisons of every pair of architectures, for every name in `SCORES`.
        cases: Results of all validation cases.
    """

    architectures: dict[str, ArchitectureSummary]
    comparisons: tuple[Comparison, ...]
    cases: tuple[CaseResult, ...]


def summarize(experiment: Experiment) -> Summary:
    """Summarize the metrics and logs of all finished folds."""
    architectures, cases = {}, []
    for architecture in experiment.plan.architectures:
        jobs = [job for job in experiment.jobs() if job.architecture == architecture and job.finished]
        if not jobs:
            continue
        metrics = {job.fold: json.loads(job.metrics.read_text(encoding="utf-8")) for job in jobs}
        own = [
            CaseResult(
                architecture,
                fold,
                c["case"],
                c["patient"],
                c["dice"],
                c["seconds"],
                {measure: c[measure] for measure in SURFACE_MEASURES if measure in c},
            )
            for fold, values in metrics.items()
            for c in values["cases"]
        ]
        cases += own
        architectures[architecture] = ArchitectureSummary(
            parameters=metrics[jobs[0].fold]["parameters"],
            folds={fold: values["mean"] for fold, values in metrics.items()},
            dice={score: _spread([values["mean"][score] for values in metrics.values()]) for score in SCORES},
            inference_seconds=statistics.median(case.seconds for case in own),
            peak_memory_bytes=max(values["inference"]["peak_memory_bytes"] for values in metrics.values()),
            training_seconds=sum(values["training"]["seconds"] for values in metrics.values()),
            epoch_of_90_percent={job.fold: epoch_of_reduction(list(epoch_losses(job).values())) for job in jobs},
            surface=_surface(own),
        )
    return Summary(architectures, compare(cases, list(architectures)), tuple(cases))


def write_summary(experiment: Experiment) -> None:
    """Write ``summary.csv`` and ``summary.json``.

    Raises:
        OutputError: If they cannot be written.
    """
    summary = summarize(experiment)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    surface = [(measure, score) for measure in SURFACE_MEASURES for score in SCORES]
    names = [f"{measure}_{score}" for measure, score in surface]
    writer.writerow(["architecture", "fold", "case", "patient", *SCORES, "seconds", *names])
    for case in summary.cases:
        scores = (case.dice[score] for score in SCORES)
        distances = (case.surface.get(measure, {}).get(score, "") for measure, score in surface)
        writer.writerow([case.architecture, case.fold, case.case, case.patient, *scores, case.seconds, *distances])
    write_text(experiment.summary_table, table.getvalue())
    values = {
        "architectures": {name: architecture.to_json() for name, architecture in summary.architectures.items()},
        "comparisons": [asdict(comparison) for comparison in summary.comparisons],
    }
    write_text(experiment.summary, json.dumps(values, indent=1) + "\n")


def epoch_losses(job: FoldFolder) -> dict[int, float]:
    """Return the mean loss of every epoch in a fold's log, by number of the epoch from 1."""
    return {line["epoch"]: line["loss"] for line in job.log_lines() if line["event"] == "epoch"}


def epoch_of_reduction(losses: Sequence[float], share: float = 0.9) -> int | None:
    """Return the first epoch by which the loss has fallen by a share of its whole decrease (figure 5).

    Args:
        losses: Mean loss of each epoch.
        share: Share of the decrease from the first to the last epoch.

    Returns:
        Number of the epoch, from 1; None if the loss did not decrease.
    """
    if not losses or not losses[-1] < losses[0]:
        return None
    enough = losses[0] - share * (losses[0] - losses[-1])
    return next(epoch for epoch, loss in enumerate(losses, start=1) if loss <= enough)


def compare(cases: Sequence[CaseResult], architectures: Sequence[str]) -> tuple[Comparison, ...]:
    """Compare all pairs of architectures by Wilcoxon's signed-rank test, paired by case, corrected by Holm's method.

    Cases without a difference are excluded from the ranks, as Wilcoxon did.

    Args:
        cases: Results of all validation cases.
        architectures: Names of the architectures.
    """
    from scipy.stats import wilcoxon  # takes a second to import

    dice: dict[str, dict[str, Mapping[str, float]]] = {name: {} for name in architectures}
    for case in cases:
        dice[case.architecture][case.case] = case.dice
    found = []
    for a, b in itertools.combinations(architectures, 2):
        shared = [name for name in dice[a] if name in dice[b]]
        for score in SCORES if shared else ():
            differences = np.array([dice[a][name][score] - dice[b][name][score] for name in shared])
            enough = np.count_nonzero(differences) >= FEWEST_DIFFERENCES
            p = float(wilcoxon(differences).pvalue) if enough else None
            found.append((a, b, score, float(np.median(differences)), p, len(shared)))
    corrected = iter(holm([p for *_, p, _ in found if p is not None]))
    return tuple(
        Comparison(a, b, score, median, p, None if p is None else next(corrected), n)
        for a, b, score, median, p, n in found
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests (Holm, "A simple sequentially rejective multiple test procedure", 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p_values, float)[order] * factors))
    return corrected.tolist()


def _surface(cases: Sequence[CaseResult]) -> dict[str, dict[str, Spread]]:
    """Return the spread of the folds' means, for each measure that all cases have."""
    folds = [[case for case in cases if case.fold == fold] for fold in dict.fromkeys(case.fold for case in cases)]
    return {
        measure: {
            score: _spread([statistics.fmean(case.surface[measure][score] for case in fold) for fold in folds])
            for score in SCORES
        }
        for measure in SURFACE_MEASURES
        if all(measure in case.surface for case in cases)
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
