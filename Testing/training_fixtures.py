"""An experiment's folder as training leaves it, with made-up results."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenunet.core.regions import REGIONS
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import Case, Dataset, ImageSource
from tokenunet.synthesis import SyntheticPatient, synthetic_patient, write_patient
from tokenunet.training.experiment.create import create_experiment
from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan
from tokenunet.training.experiment.fold_folder import FoldFolder, append_log

EPOCHS = 8
PARAMETERS = {"unet": 12_894_000, "unet_star": 2_416_003, "token_unet": 2_450_011, "token_unet_transformer": 5_609_000}
QUALITY = {"unet": 0.84, "unet_star": 0.86, "token_unet": 0.865, "token_unet_transformer": 0.87, "swin_unetr": 0.867}


def fabricated_experiment(
    folder: Path,
    architectures: Sequence[str] = ("token_unet_transformer", "unet"),
    folds: int = 5,
    finished: int | None = None,
    dataset: Dataset | None = None,
    overrides: dict[str, Any] | None = None,
    cases_per_fold: int = 6,
) -> Experiment:
    """An experiment with results drawn at random; the same arguments give the same.

    Args:
        folder: absent or empty.
        architectures: to pretend to have trained.
        folds: of the cross-validation.
        finished: how many of all folds of all architectures are; the next one is at half its epochs. All by default.
        dataset: whose cases; by default of files that do not exist.
        overrides: of the configuration.
        cases_per_fold: where there is no dataset.
    """
    dataset = dataset or absent_dataset(folds * cases_per_fold)
    plan = ExperimentPlan(
        "quick", tuple(architectures), folds, tuple(range(folds)), 0, {"epochs": EPOCHS, **(overrides or {})}
    )
    experiment = create_experiment(folder, dataset, {case.name: {} for case in dataset.cases}, plan)
    jobs = experiment.jobs()
    count = len(jobs) if finished is None else finished
    append_log(experiment.log, {"event": "started"})
    for job in jobs[:count]:
        write_fold_log(job, EPOCHS)
        write_metrics(job, experiment)
    for job in jobs[count : count + 1]:
        write_fold_log(job, EPOCHS // 2)
    return experiment


def absent_dataset(cases: int) -> Dataset:
    """Cases of files that do not exist."""
    place = Path("absent")
    images = {sequence: ImageSource(place / f"{sequence}.nii.gz") for sequence in SEQUENCES}
    return Dataset(
        place,
        "BraTS",
        tuple(Case(f"Case_{n:03d}", f"Patient_{n:03d}", images, place / "seg.nii.gz", {0: 0}) for n in range(cases)),
    )


def write_fold_log(job: FoldFolder, epochs: int) -> None:
    """The log of a fold that has trained that many of its `EPOCHS`; it validated every second."""
    random = _random(job)
    job.folder.mkdir(parents=True)
    append_log(
        job.log,
        {
            "event": "started",
            "architecture": job.architecture,
            "parameters": PARAMETERS.get(job.architecture, 15_706_000),
            "total_epochs": EPOCHS,
            "steps_per_epoch": 2,
            "device": "cpu",
            "processes": 1,
            "precision": "32-true",
        },
    )
    for epoch in range(1, epochs + 1):
        step = {"event": "step", "step": 2 * epoch, "epoch": epoch, "loss": 1.0, "seconds": 0.5}
        append_log(job.log, step | {"peak_memory_bytes": 2 * 10**9})
        loss = 0.3 + 1.1 * np.exp(-epoch / 2) + random.normal(0, 0.01)
        append_log(job.log, {"event": "epoch", "epoch": epoch, "loss": float(loss)})
        if epoch % 2 == 0:
            dice = {name: float(0.85 - np.exp(-epoch / 2) - 0.05 * i) for i, name in enumerate(REGIONS)}
            append_log(job.log, {"event": "validation", "epoch": epoch, "dice": with_mean(dice), "seconds": 1.0})


def write_metrics(job: FoldFolder, experiment: Experiment) -> None:
    """Made-up results of the fold's validation cases."""
    random = _random(job)
    patients = {case.name: case.patient for case in experiment.dataset.cases}
    rows = []
    for name in experiment.splits.folds[job.fold].validation:
        quality = QUALITY[job.architecture] + random.normal(0, 0.05, len(REGIONS)) - [0, 0.03, 0.06]
        dice = dict(zip(REGIONS, np.clip(quality, 0, 1).tolist(), strict=True))
        rows.append(
            {
                "case": name,
                "patient": patients[name],
                "dice": with_mean(dice),
                "seconds": 1 + float(random.random()),
                "hd95_mm": with_mean({region: 50 * (1 - value) for region, value in dice.items()}),
                "surface_dice": with_mean({region: value**2 for region, value in dice.items()}),
            }
        )
    metrics = {
        "architecture": job.architecture,
        "fold": job.fold,
        "weights": "last",
        "parameters": PARAMETERS.get(job.architecture, 15_706_000),
        "best_epoch": EPOCHS,
        "training": {"seconds": 60.0, "seconds_per_step": 0.5, "peak_memory_bytes": 2_000_000_000},
        "cases": rows,
        "mean": {name: float(np.mean([row["dice"][name] for row in rows])) for name in (*REGIONS, "mean")},
        "inference": {
            "seconds": float(np.median([row["seconds"] for row in rows])),
            "peak_memory_bytes": 800_000_000 + 40 * PARAMETERS.get(job.architecture, 15_706_000),
        },
    }
    job.metrics.write_text(json.dumps(metrics))


def with_mean(dice: dict[str, float]) -> dict[str, float]:
    """The regions' Dice, and their mean."""
    return {**dice, "mean": float(np.mean(list(dice.values())))}


def _random(job: FoldFolder) -> np.random.Generator:
    return np.random.default_rng([job.fold, *job.architecture.encode()])


def write_small_patients(folder: Path, seeds: Iterable[int]) -> Path:
    """Write synthetic patients as a dataset, at 2 mm to be quick, and return the folder."""
    for seed in seeds:
        write_patient(_small_patient(seed), folder)
    return folder


@cache
def _small_patient(seed: int) -> SyntheticPatient:
    return synthetic_patient(seed, 2.0)
