"""Figures 4 to 6 of the paper, from an experiment; the data of each figure is separate from its drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tokenunet.core.regions import REGION_TITLES
from tokenunet.io.figures import svg
from tokenunet.networks.registry import color_of
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.summary import SCORES, Summary, epoch_losses, epoch_of_reduction

_COARSE = "#888888"
"""Color of stages that other networks start from."""
_FEWEST_FOR_BOX = 5


@dataclass(frozen=True)
class Bubble:
    """Architecture in figure 4.

    Attributes:
        architecture: Name of the architecture.
        gigabytes: Peak memory in GB.
        seconds: Median duration of a case in seconds.
        parameters: Number of trainable parameters.
    """

    architecture: str
    gigabytes: float
    seconds: float
    parameters: int


@dataclass(frozen=True)
class FoldCurves:
    """Fold in figure 5, up to its last epoch.

    Attributes:
        architecture: Name of the architecture.
        fold: Number of the fold.
        finished: Whether the fold is finished.
        losses: Mean loss by epoch, from 1.
        dice: Validation Dice, averaged over regions and cases, by epoch.
        epoch_of_90_percent: Epoch of 90 % of the decrease; None if the fold is unfinished or the loss did not decrease.
    """

    architecture: str
    fold: int
    finished: bool
    losses: dict[int, float]
    dice: dict[int, float]
    epoch_of_90_percent: int | None


@dataclass(frozen=True)
class Box:
    """Box in figure 6: Dice of the cases of one fold."""

    architecture: str
    fold: int
    score: str
    dice: tuple[float, ...]


def _color(architecture: str) -> str:
    return color_of(architecture.removesuffix("_fine"), _COARSE)


def bubbles(summary: Summary) -> list[Bubble]:
    """Return the data of figure 4."""
    return [
        Bubble(name, a.peak_memory_bytes / 1e9, a.inference_seconds, a.parameters)
        for name, a in summary.architectures.items()
    ]


def fold_curves(experiment: Experiment) -> list[FoldCurves]:
    """Return the data of figure 5: every fold with a completed epoch."""
    curves = []
    for job in experiment.jobs():
        losses = epoch_losses(job)
        dice = {line["epoch"]: line["dice"]["mean"] for line in job.log_lines() if line["event"] == "validation"}
        epoch = epoch_of_reduction(list(losses.values())) if job.finished else None
        if losses:
            curves.append(FoldCurves(job.architecture, job.fold, job.finished, losses, dice, epoch))
    return curves


def average_losses(curves: Sequence[FoldCurves]) -> list[float]:
    """Return the loss of every epoch, averaged over the finished folds of an architecture."""
    finished = [list(c.losses.values()) for c in curves if c.finished]
    return np.mean(finished, axis=0).tolist() if finished else []


def boxes(summary: Summary) -> list[Box]:
    """Return the data of figure 6: a box for every finished fold and score."""
    return [
        Box(name, fold, score, tuple(c.dice[score] for c in summary.cases if (c.architecture, c.fold) == (name, fold)))
        for score in SCORES
        for name, architecture in summary.architectures.items()
        for fold in architecture.folds
    ]


def draw_time_and_memory(points: Sequence[Bubble]) -> bytes:
    """Draw figure 4 as SVG."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for point in points:
            axes.scatter(
                point.gigabytes,
                point.seconds,
                s=40 + 50 * point.parameters / 1e6,
                color=_color(point.architecture),
                alpha=0.75,
                edgecolor="white",
            )
        axes.set(
            xlabel="peak memory (GB)",
            ylabel="seconds a case",
            xlim=(0, 1.25 * max(p.gigabytes for p in points)),
            ylim=(0, 1.35 * max(p.seconds for p in points)),
        )
        handles = [
            Line2D(
                [], [], ls="", marker="o", ms=8, color=_color(p.architecture),
                label=f"{p.architecture}, {p.parameters / 1e6:.2f} M parameters",
            )
            for p in points
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside right upper")

    return svg(draw, 9, 3)


def draw_curves(curves: Sequence[FoldCurves]) -> bytes:
    """Draw figure 5 as SVG, with a row for every architecture."""
    names = list(dict.fromkeys(curve.architecture for curve in curves))

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(names), 2, sharex=True, sharey="col", squeeze=False)
        for name, (left, right) in zip(names, rows, strict=True):
            own = [curve for curve in curves if curve.architecture == name]
            for curve in own:
                _draw_fold(curve, left, right)
            average = average_losses(own)
            left.plot(range(1, len(average) + 1), average, color="black", lw=1.5)
            left.set_title(name, loc="left", fontweight="bold", fontsize=10)
            if (epoch := epoch_of_reduction(average)) is not None:
                left.axvline(epoch, color="black", lw=1, ls=":")
                left.set_title(f"90 % by epoch {epoch}", loc="right", fontsize=9)
            left.set_ylabel("loss")
            right.set_ylabel("validation Dice")
            right.set_ylim(0, 1)
            left.xaxis.get_major_locator().set_params(integer=True)
        for axes in rows[-1]:
            axes.set_xlabel("epoch")

    return svg(draw, 9, 0.8 + 2.2 * len(names))


def _draw_fold(curve: FoldCurves, left: Axes, right: Axes) -> None:
    color, style = _color(curve.architecture), "-" if curve.finished else "--"
    # A single epoch makes no line.
    marker = "." if len(curve.losses) == 1 else ""
    left.plot(list(curve.losses), list(curve.losses.values()), style, color=color, lw=1, marker=marker)
    right.plot(list(curve.dice), list(curve.dice.values()), style, color=color, lw=1, marker=".")
    if curve.epoch_of_90_percent is not None:
        left.plot(
            curve.epoch_of_90_percent,
            curve.losses[curve.epoch_of_90_percent],
            "o",
            color=color,
            ms=7,
            mec="white",
            zorder=3,
        )


def draw_boxes(groups: Sequence[Box]) -> bytes:
    """Draw figure 6 as SVG, with a panel for every region and one for their mean."""
    names = list(dict.fromkeys(box.architecture for box in groups))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, 2, sharey=True)
        for score, axes in zip(SCORES, panels.flat, strict=True):
            ticks: dict[float, int] = {}
            for box in (box for box in groups if box.score == score):
                place = len(ticks) + 0.7 * names.index(box.architecture)
                ticks[place] = box.fold
                _draw_box(box, place, axes)
            axes.set_xticks(list(ticks), [str(fold) for fold in ticks.values()])
            axes.set_xlim(-0.8, max(ticks) + 0.8)
            axes.grid(visible=False, axis="x")
            axes.set_title({**REGION_TITLES, "mean": "mean of the three"}[score], loc="left", fontsize=10)  # type: ignore[misc]
        for axes in panels[1]:
            axes.set_xlabel("fold")
        for axes in panels[:, 0]:
            axes.set_ylabel("Dice of a case")
        panels[0, 0].set_ylim(top=1.02)
        handles = [Patch(facecolor=_color(name), label=name) for name in names]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(names))

    return svg(draw, 9, 6)


def _draw_box(box: Box, place: float, axes: Axes) -> None:
    color = _color(box.architecture)
    if len(box.dice) < _FEWEST_FOR_BOX:
        axes.plot([place] * len(box.dice), box.dice, "o", color=color, ms=5, mec="white")
        return
    axes.boxplot(
        [box.dice],
        positions=[place],
        widths=0.7,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "edgecolor": "#333333", "lw": 0.8},
        medianprops={"color": "black", "lw": 1.5},
        whiskerprops={"color": "#333333", "lw": 0.8},
        capprops={"color": "#333333", "lw": 0.8},
        flierprops={"marker": "o", "ms": 3, "mfc": "none", "mec": color},
    )
