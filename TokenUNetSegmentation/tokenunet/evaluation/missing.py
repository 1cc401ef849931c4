"""Cost of missing sequences: Dice without them, compared with all of them, on the same patients."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import SimpleITK as sitk

from tokenunet.core.channels import ChannelSet
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.sequences import SequenceName
from tokenunet.data import Case, read_scans, read_truth
from tokenunet.evaluation.evidence import made
from tokenunet.evaluation.holdout import tumor_patients
from tokenunet.evaluation.segmented import Predictor, brats_scores, segmented
from tokenunet.study.scans import Study, study_of

SYNTHETIC, REAL = "synthetic", "real"


@dataclass(frozen=True)
class MissingRow:
    """Dice of one patient without some sequences.

    Attributes:
        name: Name of the patient.
        source: `SYNTHETIC` or `REAL`.
        missing: Sequences that are missing; none for the comparison.
        dice: Dice by region, 1 or 0 if the ground truth has no such region; without ET if T1ce is missing.
    """

    name: str
    source: str
    missing: tuple[SequenceName, ...]
    dice: dict[RegionName, float]


def measured_sets(channels: ChannelSet) -> list[tuple[SequenceName, ...]]:
    """Return the sets of missing channels that a model allows, the empty one first."""
    return [(), *(option.channels for option in channels.optional)]


def measure_real(
    space: ModelSpace, channels: ChannelSet, cases: Sequence[Case], predictor: Predictor
) -> Iterator[MissingRow]:
    """Segment real patients with each set of sequences that a model allows.

    Args:
        space: Input space of the model.
        channels: Channels of the model, and which may be missing.
        cases: Real patients with a ground truth.
        predictor: The model.

    Yields:
        Rows, patient by patient.

    Raises:
        InputError: If a patient cannot be used.
    """
    for case in cases:
        yield from _rows(case.name, REAL, read_scans(case), read_truth(case), space, channels, predictor)


def measure_synthetic(
    space: ModelSpace, channels: ChannelSet, patients: int, predictor: Predictor
) -> Iterator[MissingRow]:
    """Segment synthetic patients of the hold-out as `measure_real` does real ones.

    Args:
        space: Input space of the model.
        channels: Channels of the model, and which may be missing.
        patients: Number of patients with a tumor.
        predictor: The model.
    """
    for number, patient in enumerate(tumor_patients(patients)):
        yield from _rows(f"hold-out {number}", SYNTHETIC, *made(patient), space, channels, predictor)


def _rows(
    name: str,
    source: str,
    study: Study,
    truth: sitk.Image,
    space: ModelSpace,
    channels: ChannelSet,
    predictor: Predictor,
) -> Iterator[MissingRow]:
    for missing in measured_sets(channels):
        scans = {sequence: scan for sequence, scan in study.scans.items() if sequence not in missing}
        done = segmented(study_of(scans, None, ()), truth, space, predictor)
        scores = brats_scores(done.predicted, done.truth, done.grid)
        if "T1ce" in missing:  # without it, enhancing tumor is not marked
            del scores["ET"]
        yield MissingRow(name, source, missing, scores)


def costs(rows: Iterable[MissingRow]) -> dict[tuple[SequenceName, ...], dict[str, dict[RegionName, float]]]:
    """Return the mean Dice by missing sequences, by source of the patients and by region."""
    scores: dict[tuple[SequenceName, ...], dict[str, dict[RegionName, list[float]]]] = {}
    for row in rows:
        of_source = scores.setdefault(row.missing, {}).setdefault(row.source, {})
        for region, dice in row.dice.items():
            of_source.setdefault(region, []).append(dice)
    return {
        missing: {source: {r: round(fmean(d), 4) for r, d in regions.items()} for source, regions in of.items()}
        for missing, of in scores.items()
    }


def with_measured_costs(channels: ChannelSet, means: Mapping[tuple[SequenceName, ...], Any]) -> list[dict[str, Any]]:
    """Return the `optional_channels` of a manifest; of several sources, the larger loss counts.

    Args:
        channels: Channels of the model.
        means: Mean Dice from `costs`.
    """
    options = []
    for option in channels.optional:
        changes: dict[str, float] = {}
        for source, regions in means[option.channels].items():
            for region, dice in regions.items():
                change = round(dice - means[()][source][region], 2)
                changes[region] = min(change, changes.get(region, change))
        options.append(asdict(replace(option, dice_change=changes)))
    return options


def missing_markdown(means: Mapping[tuple[SequenceName, ...], Mapping[str, Mapping[RegionName, float]]]) -> str:
    """Return a table of the mean Dice, with a row for each set of missing sequences.

    Args:
        means: Mean Dice from `costs`.
    """
    sources = list(means[()])
    heads = [f"{source} {region}" for source in sources for region in REGIONS]
    lines = ["| missing | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for missing, of in means.items():
        cells = [f"{of[s][r]:.3f}" if r in of[s] else "not marked" for s in sources for r in REGIONS]
        lines.append(f"| {', '.join(missing) or 'none'} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
