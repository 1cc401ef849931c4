"""Export of trained folds as a model bundle."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenunet.bundle.bundle import save_bundle
from tokenunet.bundle.manifest import ModelManifest, manifest_channels
from tokenunet.core.errors import ExperimentError, OutputExistsError
from tokenunet.core.regions import REGIONS
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_bundle import fold_bundle
from tokenunet.training.experiment.fold_folder import FoldFolder

_SYNTHETIC_USE = (
    "Research on glioma segmentation in skull-stripped, co-registered T1, T1ce, T2 and FLAIR of adults before surgery. "
    "Trained on synthetic patients only, without any patient data. "
    "Not a medical device; not for diagnosis or treatment."
)
_INTENDED_USE = (
    "Research on glioma segmentation in scans like those that it was trained on. "
    "Not a medical device; not for diagnosis or treatment."
)


def finished_folds(experiment: Experiment, architecture: str) -> tuple[int, ...]:
    """Return the finished folds of an architecture."""
    return tuple(job.fold for job in experiment.jobs() if job.architecture == architecture and job.finished)


def export_bundle(
    experiment: Experiment, architecture: str, folds: Sequence[int], bundle: Path, title: str = ""
) -> Path:
    """Write a model of one fold, or of several folds as an ensemble.

    The model's description contains the scores of each fold on its validation cases. The ensemble itself cannot be
    evaluated on them, since each of its members was trained on most.

    Args:
        experiment: Experiment with the folds finished.
        architecture: Architecture of the experiment, with its stage if it was trained in stages.
        folds: Numbers of the folds, from 0.
        bundle: Folder to write; absent or empty.
        title: Display name of the model; empty derives it from the experiment's.

    Returns:
        Folder of the bundle.

    Raises:
        ExperimentError: If a fold is not finished.
        OutputExistsError: If the folder is not empty.
        OutputError: If the folder cannot be written.
    """
    if bundle.exists() and any(bundle.iterdir()):
        raise OutputExistsError(f"{bundle} is not empty.", "Choose another folder for the model.")
    finished = finished_folds(experiment, architecture)
    unfinished = [str(fold) for fold in folds if fold not in finished]
    if unfinished or not folds:
        raise ExperimentError(
            f"{architecture} has no finished fold {', '.join(unfinished)}".rstrip() + f" in {experiment.folder}.",
            f"Finished folds: {', '.join(map(str, finished)) or 'none'}.",
        )
    jobs = [experiment.fold(architecture, fold) for fold in folds]
    configuration = experiment.configuration(architecture)
    manifest = ModelManifest(
        name=title or f"{experiment.folder.name}: {architecture}",
        architecture=configuration.architecture,
        arguments=configuration.arguments,
        channels=manifest_channels(configuration.channels),
        spacing=(configuration.spacing,) * 3,
        patch_size=configuration.patch_size,
        training=_synthetic_card(experiment, jobs[0]) if experiment.synthetic else _card(experiment, jobs),
        intended_use=_SYNTHETIC_USE if experiment.synthetic else _INTENDED_USE,
    )
    return save_bundle(bundle, manifest, (fold_bundle(job, configuration).build() for job in jobs))


def _card(experiment: Experiment, jobs: Sequence[FoldFolder]) -> dict[str, Any]:
    measured = [json.loads(job.metrics.read_text(encoding="utf-8")) for job in jobs]
    return {
        "data": f"{len(experiment.dataset.cases)} cases, {experiment.dataset.layout}",
        "fingerprint": experiment.description["dataset"]["fingerprint"],
        "preset": experiment.plan.preset,
        "settings": _settings(experiment.configuration(jobs[0].architecture)),
        "seed": experiment.plan.seed,
        "folds": [job.fold for job in jobs],
        "validation_dice_by_fold": [metrics["mean"] for metrics in measured],
        "validation_dice": {
            name: statistics.fmean(metrics["mean"][name] for metrics in measured) for name in (*REGIONS, "mean")
        },
        "validation_cases": sum(len(metrics["cases"]) for metrics in measured),
    }


def _synthetic_card(experiment: Experiment, job: FoldFolder) -> dict[str, Any]:
    metrics = json.loads(job.metrics.read_text(encoding="utf-8"))
    configuration = experiment.configuration(job.architecture)
    return {
        "data": experiment.dataset.layout,
        "preset": experiment.plan.preset,
        "settings": _settings(configuration),
        "seed": experiment.plan.seed,
        "synthetic_validation_dice": {name: metrics["mean"][name] for name in REGIONS},
        "validation_cases": len(metrics["cases"]),
    }


def _settings(configuration: TrainingConfiguration) -> dict[str, Any]:
    """Return the settings without local paths."""
    return configuration.to_json() | {"initial": Path(configuration.initial).name}
