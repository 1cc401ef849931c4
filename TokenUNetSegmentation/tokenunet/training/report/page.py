"""HTML report of a training experiment: results, the paper's figures, statistical tests and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safetensors import SafetensorError

from tokenunet.core.errors import TokenUNetError
from tokenunet.core.regions import REGION_TITLES
from tokenunet.evaluation.surface import ABSENT_MM, TOLERANCE_MM
from tokenunet.io.files import write_text
from tokenunet.io.page import data_url, render_page
from tokenunet.networks import architecture
from tokenunet.runtime.environment import versions
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder
from tokenunet.training.experiment.summary import (
    FEWEST_DIFFERENCES,
    SCORES,
    SURFACE_MEASURES,
    CaseResult,
    Summary,
    summarize,
)
from tokenunet.training.report.attention_figure import attention_view, draw_attention
from tokenunet.training.report.figures import boxes, bubbles, draw_boxes, draw_curves, draw_time_and_memory, fold_curves

_WORST_CASES = 5
_SURFACE_TITLES = dict(zip(SURFACE_MEASURES, ("HD95 (mm)", "Surface Dice"), strict=True))
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class AttentionFigure:
    """Figure 7 of one architecture, or the reason why there is none.

    Attributes:
        architecture: Name of the architecture.
        fold: Number of the fold.
        picture: Data URL of the picture; empty if there is none.
        case: Name of the displayed case.
        dice: Dice of that case by name in `SCORES`.
        because: Sentence displayed instead of the picture.
    """

    architecture: str
    fold: int
    picture: str = ""
    case: str = ""
    dice: Mapping[str, float] = field(default_factory=dict)
    because: str = ""


@dataclass(frozen=True)
class Unfinished:
    """Unfinished fold.

    Attributes:
        architecture: Name of the architecture.
        fold: Number of the fold.
        epochs: Number of completed epochs.
        total_epochs: Planned number of epochs.
        failure: Message of a failure in the experiment's log; may be empty.
    """

    architecture: str
    fold: int
    epochs: int
    total_epochs: int
    failure: str


def write_report(experiment: Experiment) -> None:
    """Write ``report.html``, a self-contained page of the finished folds.

    Raises:
        OutputError: If it cannot be written.
    """
    write_text(experiment.report, training_report(experiment))


def training_report(experiment: Experiment) -> str:
    """Render the report as HTML; networks with attention maps segment one case each for it."""
    summary = summarize(experiment)
    curves = fold_curves(experiment)
    figures = {"curves": data_url(draw_curves(curves), "image/svg+xml")} if curves else {}
    if summary.architectures:
        figures["time_and_memory"] = data_url(draw_time_and_memory(bubbles(summary)), "image/svg+xml")
        figures["boxes"] = data_url(draw_boxes(boxes(summary)), "image/svg+xml")
    return render_page(
        "training.html",
        experiment=experiment,
        title=experiment.folder.absolute().name,
        headline=headline(experiment, summary),
        summary=summary,
        scores=SCORES,
        score_titles={**REGION_TITLES, "mean": "mean"},
        surface_measures=_measured(summary),
        absent_mm=f"{ABSENT_MM:g}",
        tolerance_mm=f"{TOLERANCE_MM:g}",
        same_folds=same_folds(summary),
        figures=figures,
        attention_figures=_attention_figures(experiment, summary),
        worst=worst_cases(summary),
        repeated_patients=len({c.patient for c in summary.cases}) < len({c.case for c in summary.cases}),
        fewest_differences=FEWEST_DIFFERENCES,
        significant=_SIGNIFICANT,
        unfinished=unfinished(experiment),
        jobs=len(experiment.jobs()),
        settings=settings_table(experiment),
        devices=devices(experiment),
        versions=versions(),
    )


def _measured(summary: Summary) -> dict[str, str]:
    """Return the titles of the measures of surfaces that at least one architecture has, by name."""
    return {
        measure: title
        for measure, title in _SURFACE_TITLES.items()
        if any(measure in architecture.surface for architecture in summary.architectures.values())
    }


def headline(experiment: Experiment, summary: Summary) -> str:
    """Return the result in a sentence or two; architectures are ranked only if the same folds of all are finished."""
    if not summary.architectures:
        return "No fold is finished yet."
    best, *others = sorted(summary.architectures, key=lambda name: -summary.architectures[name].dice["mean"].mean)
    count = len({case.case for case in summary.cases})
    folds = sorted({fold for a in summary.architectures.values() for fold in a.folds})
    cases = "1 validation case" if count == 1 else f"{count} validation cases"
    scope = f"On {cases} of {len(folds)} of {experiment.plan.folds} folds"
    if experiment.synthetic:
        scope = f"On {cases}, which are synthetic and drawn from wider ranges than those trained on"
    if not others:
        return f"{scope}, {best} reached a mean Dice of {_shown(summary, best)}."
    if not same_folds(summary):
        reached = ", ".join(f"{name} {_shown(summary, name)}" for name in summary.architectures)
        return f"{scope}, mean Dice so far: {reached}. Not the same folds of all are finished, so these do not compare."
    second = others[0]
    test = next(c for c in summary.comparisons if {c.a, c.b} == {best, second} and c.region == "mean")
    if test.p_corrected is None:
        verdict = "Too few cases differ to test whether that is more than chance."
    elif test.p_corrected < _SIGNIFICANT:
        verdict = f"The cases' difference is more than chance explains ({_p(test.p_corrected)}, corrected)."
    else:
        verdict = f"The cases' difference may be chance ({_p(test.p_corrected)}, corrected)."
    return (
        f"{scope}, {best} reached the highest mean Dice, {_shown(summary, best)}, before {second} with "
        f"{_shown(summary, second)}. {verdict}"
    )


def _shown(summary: Summary, architecture: str) -> str:
    spread = summary.architectures[architecture].dice["mean"]
    return f"{spread.mean:.3f}" + ("" if spread.std is None else f" ± {spread.std:.3f}")


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def same_folds(summary: Summary) -> bool:
    """Return whether the same folds of all architectures are finished."""
    return len({tuple(a.folds) for a in summary.architectures.values()}) <= 1


def worst_cases(summary: Summary) -> dict[str, list[CaseResult]]:
    """Return the cases with the lowest mean Dice by architecture, the worst first."""
    return {
        name: sorted((c for c in summary.cases if c.architecture == name), key=lambda c: (c.dice["mean"], c.case))[
            :_WORST_CASES
        ]
        for name in summary.architectures
    }


def unfinished(experiment: Experiment) -> list[Unfinished]:
    """Return the folds without metrics."""
    failures = {
        (line["architecture"], line["fold"]): line["message"]
        for line in experiment.log_lines()
        if line["event"] == "fold_failed"
    }
    found = []
    for job in experiment.jobs():
        if not job.finished:
            epochs = max((line["epoch"] for line in job.log_lines() if line["event"] == "epoch"), default=0)
            total = experiment.configuration(job.architecture).epochs
            failure = failures.get((job.architecture, job.fold), "")
            found.append(Unfinished(job.architecture, job.fold, epochs, total, failure))
    return found


def settings_table(experiment: Experiment) -> dict[str, list[Any]]:
    """Return the values of every setting: one if it is the same for all architectures, otherwise one for each."""
    values: list[Mapping[str, Any]] = [experiment.configuration(a).to_json() for a in experiment.plan.architectures]
    return {
        name: [values[0][name]] if all(v[name] == values[0][name] for v in values) else [v[name] for v in values]
        for name in values[0]
        if name != "architecture"
    }


def devices(experiment: Experiment) -> list[str]:
    """Return the devices that the folds were trained on, each once."""
    started = [line for job in experiment.jobs() for line in job.log_lines() if line["event"] == "started"]
    return list(
        dict.fromkeys(
            f"{line['device']}, {line['precision']}"
            + (f", {line['processes']} processes" if line["processes"] > 1 else "")
            for line in started
        )
    )


def _attention_figures(experiment: Experiment, summary: Summary) -> list[AttentionFigure]:
    """Return the figures of the first finished fold of every architecture that has attention maps."""
    first: dict[str, FoldFolder] = {}
    for job in experiment.jobs():
        if job.finished and architecture(experiment.configuration(job.architecture).architecture).has_attention_maps:
            first.setdefault(job.architecture, job)
    return [_attention_figure(experiment, job, summary) for job in first.values()]


def _attention_figure(experiment: Experiment, job: FoldFolder, summary: Summary) -> AttentionFigure:
    try:
        view = attention_view(experiment, job)
    except (TokenUNetError, OSError, SafetensorError) as error:
        return AttentionFigure(job.architecture, job.fold, because=f"There is no picture of attention maps. {error}")
    dice = next(c.dice for c in summary.cases if (c.architecture, c.case) == (job.architecture, view.case))
    return AttentionFigure(job.architecture, job.fold, data_url(draw_attention(view), "image/png"), view.case, dice)
