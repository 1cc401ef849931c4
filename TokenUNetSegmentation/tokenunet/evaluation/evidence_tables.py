"""Summary of an evaluation: as values for JSON, and as Markdown tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.evaluation.evidence import AS_IT_IS, POSTPROCESSING, Evidence, TumorRow
from tokenunet.evaluation.holdout import SIZES_ML, size_class
from tokenunet.evaluation.robustness import conditions
from tokenunet.evaluation.segmented import NEGLIGIBLE_ML, DiceScores
from tokenunet.evaluation.surface import TOLERANCE_MM
from tokenunet.synthesis import Kind


def summary(evidence: Evidence, space: ModelSpace) -> dict[str, Any]:
    """Return means of Dice, volumes and errors, over the patients whose ground truth has the region."""

    def group(rows: Iterable[TumorRow], step: str = AS_IT_IS) -> dict[str, Any]:
        rows = list(rows)
        return {"patients": len(rows), "dice": _means([row.dice[step] for row in rows])}

    tumors = evidence.tumors
    reliability = evidence.reliability
    return {
        "all": group(tumors),
        "sizes": {size: group(row for row in tumors if size_class(row.volumes_ml["WT"]) == size) for size in SIZES_ML},
        "kinds": {
            kind.value: group(row for row in tumors if row.kind == kind) for kind in Kind if kind is not Kind.HEALTHY
        },
        "postprocessing": {
            step: group(tumors, step) | {"healthy": _false_volumes([row.false_ml[step] for row in evidence.healthy])}
            for step in POSTPROCESSING
        },
        "real_appearance": group(evidence.real_appearance),
        "real": {
            "patients": len(evidence.real),
            "dice": _means([dict(row.brats_dice) for row in evidence.real]),
            "hd95_mm": _means([dict(row.hd95_mm) for row in evidence.real]),
            "surface_dice": _means([dict(row.surface_dice) for row in evidence.real]),
        },
        "tumor_free": _false_volumes([row.marked_ml for row in evidence.tumor_free]),
        "healthy": _false_volumes([row.false_ml[AS_IT_IS] for row in evidence.healthy]),
        "not_enhancing": _false_volumes([row.predicted_ml["ET"] for row in tumors if row.dice[AS_IT_IS]["ET"] is None]),
        "robustness": _robustness(evidence, space),
        "calibration": {
            region: {"expected_calibration_error": error, "bins": reliability.bins(region)}
            for region, error in reliability.expected_calibration_error.items()
        },
    }


def _means(scores: Sequence[DiceScores]) -> dict[RegionName, dict[str, Any]]:
    """Return the mean over the patients that have a region, and their number, by region."""
    known = {region: [s[region] for s in scores if s[region] is not None] for region in REGIONS}
    return {
        region: {"mean": round(float(np.mean(values)), 4) if values else None, "cases": len(values)}  # type: ignore[arg-type]
        for region, values in known.items()
    }


def _false_volumes(volumes_ml: Sequence[float]) -> dict[str, Any]:
    """Return the volume of false positives."""
    volumes = np.array(volumes_ml)
    if not len(volumes):
        return {"cases": 0}
    return {
        "cases": len(volumes),
        "share_negligible": round(float((volumes <= NEGLIGIBLE_ML).mean()), 4),
        "median_ml": round(float(np.median(volumes)), 3),
        "largest_ml": round(float(volumes.max()), 3),
    }


def _robustness(evidence: Evidence, space: ModelSpace) -> dict[str, Any]:
    """Return the loss of Dice compared with the unperturbed scans of the same patients, by condition."""
    undisturbed = {row.seed: row.dice[AS_IT_IS] for row in evidence.tumors}
    result = {}
    for condition in conditions(space):
        rows = [row for row in evidence.disturbed if row.condition == condition.name]
        losses = [
            {
                region: None if (d := row.dice[region]) is None else (undisturbed[row.seed][region] or 0) - d
                for region in REGIONS
            }
            for row in rows
        ]
        result[condition.name] = {
            "title": condition.title,
            "patients": len(rows),
            "dice": _means([row.dice for row in rows]),
            "loss": _means(losses),
            "changed_voxels": sum(row.changed_voxels for row in rows),
        }
    return result


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return the tables in Markdown.

    Args:
        report: Content of ``evaluation.json``.
    """
    figures = report["summary"]
    parts = [
        f"# {report['model']['name']}",
        f"{figures['all']['patients']} synthetic patients that no training has seen, the five kinds of tumor in equal "
        "parts, and none of them real. Mean Dice over the patients that have the region; in brackets how many, where "
        "not all do.",
        _dice_table("patients", {"all": figures["all"], **figures["sizes"], **_spaced(figures["kinds"])}),
        *_real_appearance(figures["real_appearance"]),
        f"What it marked where nothing is; up to {NEGLIGIBLE_ML:g} ml counts as nothing.",
        _table(
            ("marked where nothing is", "patients", "nothing", "median, ml", "largest, ml"),
            [
                (
                    title,
                    str(one["cases"]),
                    f"{one['share_negligible']:.0%}",
                    f"{one['median_ml']:.2f}",
                    f"{one['largest_ml']:.2f}",
                )
                for title, one in (
                    ("tumor in healthy brains", figures["healthy"]),
                    ("tumor in real brains without one", figures["tumor_free"]),
                    ("ET in tumors that do not enhance", figures["not_enhancing"]),
                )
                if one["cases"]
            ],
        ),
        "## What steps after the network do",
        _table(
            ("after the network", *REGIONS, "nothing in healthy brains", "largest there, ml"),
            [
                (
                    name,
                    *_dice_cells(step),
                    f"{step['healthy']['share_negligible']:.0%}",
                    f"{step['healthy']['largest_ml']:.2f}",
                )
                for name, step in figures["postprocessing"].items()
            ],
        ),
        "## Perturbed scans",
        "Loss of Dice compared with the same patients without perturbation. The channel of a missing sequence is 0 in "
        "the brain, its mean after normalization.",
        _table(
            ("perturbation", "patients", *REGIONS, "voxels changed"),
            [
                (
                    one["title"],
                    str(one["patients"]),
                    *(_number(one["loss"][region]["mean"]) for region in REGIONS),
                    str(one["changed_voxels"]),
                )
                for one in figures["robustness"].values()
            ],
        ),
        "## Whether its probabilities are what they say",
        "Expected calibration error inside the brain, in ten bins (`calibration.png`).",
        _table(REGIONS, [[f"{figures['calibration'][r]['expected_calibration_error']:.4f}" for r in REGIONS]]),
    ]
    if report["real"]:
        parts += [
            "## Real patients",
            "Dice, the 95th percentile of the distances between the surfaces (HD95, mm) and the share of the surfaces "
            f"within {TOLERANCE_MM:g} mm of each other (NSD). Where a patient lacks a region, its Dice is 1 if at most "
            f"{NEGLIGIBLE_ML:g} ml are marked, else 0.",
            _table(
                (
                    *(
                        "patient",
                        *REGIONS,
                        *(f"{measure} {region}" for measure in ("HD95", "NSD") for region in REGIONS),
                    ),
                    *("whole tumor, ml", "found, ml"),
                ),
                [
                    *(
                        (
                            row["name"],
                            *(_number(row["brats_dice"][region]) for region in REGIONS),
                            *(f"{row['hd95_mm'][region]:.1f}" for region in REGIONS),
                            *(_number(row["surface_dice"][region]) for region in REGIONS),
                            f"{row['volumes_ml']['WT']:.1f}",
                            f"{row['predicted_ml']['WT']:.1f}",
                        )
                        for row in report["real"]
                    ),
                    (
                        "mean",
                        *(_number(figures["real"]["dice"][region]["mean"]) for region in REGIONS),
                        *(f"{figures['real']['hd95_mm'][region]['mean']:.1f}" for region in REGIONS),
                        *(_number(figures["real"]["surface_dice"][region]["mean"]) for region in REGIONS),
                        "",
                        "",
                    ),
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def _real_appearance(group: Mapping[str, Any]) -> list[str]:
    return [
        "The same for patients whose tumors have the contrasts of real ones; all of them have a core.",
        _dice_table("patients", {"real appearance": group}),
    ]


def _spaced(groups: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): group for name, group in groups.items()}


def _dice_table(title: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(name, str(group["patients"]), *_dice_cells(group)) for name, group in groups.items() if group["patients"]]
    return _table(("mean Dice", title, *REGIONS), rows)


def _dice_cells(group: Mapping[str, Any]) -> list[str]:
    cells = []
    for region in REGIONS:
        mean, cases = group["dice"][region]["mean"], group["dice"][region]["cases"]
        cells.append(_number(mean) + (f" ({cases})" if 0 < cases < group["patients"] else ""))
    return cells


def _number(value: float | None) -> str:
    return "none" if value is None else f"{round(value, 2) + 0:.2f}"  # + 0 makes 0 of -0


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
