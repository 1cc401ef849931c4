"""Makes the folder of a new experiment, on data or without."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import tokenunet
from tokenunet.core.errors import ExperimentError, OutputExistsError
from tokenunet.data import Dataset, FileHashes, dataset_to_json, fingerprint
from tokenunet.io.files import write_text
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.config.stages import configurations_of
from tokenunet.training.experiment.experiment import FORMAT, PATIENTS, Experiment, ExperimentPlan
from tokenunet.training.experiment.splits import Fold, Splits, split_cases
from tokenunet.training.samples.synthetic import validation_dataset


def refuse_occupied(folder: Path) -> None:
    """Raises OutputExistsError where a folder holds anything."""
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} is not empty.", "Choose another folder, or --resume what is in it.")


def create_experiment(folder: Path, dataset: Dataset, hashes: FileHashes, plan: ExperimentPlan) -> Experiment:
    """Makes an experiment's folder, with configurations, dataset and splits.

    Args:
        folder: absent or empty.
        dataset: checked.
        hashes: of the dataset's files.
        plan: what to train.

    Raises:
        OutputExistsError: where the folder holds anything already.
        OutputError: where it cannot be written.
        ExperimentError: where a fold to train does not exist.
        UsageError: where a setting is not possible.
        DatasetError: where there are fewer patients than folds.
    """
    refuse_occupied(folder)
    wrong = [fold for fold in plan.trained_folds if not 0 <= fold < plan.folds]
    if wrong:
        raise ExperimentError(f"There is no fold {wrong[0]}.", f"They are numbered from 0 to {plan.folds - 1}.")
    configurations = configurations_of(plan.architectures, plan.preset, plan.overrides)
    splits = split_cases(dataset.cases, plan.folds, plan.seed, fingerprint(dataset, hashes))
    return _write(folder, dataset, hashes, splits, plan, configurations)


def create_synthetic_experiment(folder: Path, plan: ExperimentPlan) -> Experiment:
    """Makes the folder of an experiment without data; its validation patients are made when it is trained.

    Args:
        folder: absent or empty.
        plan: what to train.

    Raises:
        OutputExistsError, OutputError, UsageError: as for `create_experiment`.
    """
    refuse_occupied(folder)
    configurations = configurations_of(plan.architectures, plan.preset, plan.overrides)
    validated = {configuration.validation_patients for configuration in configurations.values()}
    dataset = validation_dataset(folder.absolute() / PATIENTS, max(validated))
    splits = Splits(plan.seed, "", (Fold((), tuple(case.name for case in dataset.cases)),))
    return _write(folder, dataset, {}, splits, plan, configurations)


def _write(
    folder: Path,
    dataset: Dataset,
    hashes: FileHashes,
    splits: Splits,
    plan: ExperimentPlan,
    configurations: Mapping[str, TrainingConfiguration],
) -> Experiment:
    description = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tokenunet": tokenunet.__version__,
        "dataset": {"folder": str(dataset.folder), "layout": dataset.layout, "fingerprint": splits.fingerprint},
        "preset": plan.preset,
        "overrides": dict(plan.overrides),
        "seed": plan.seed,
        "folds": plan.folds,
        "trained_folds": list(plan.trained_folds),
        "architectures": list(configurations),
        "configurations": {name: configuration.to_json() for name, configuration in configurations.items()},
    }
    write_dataset(folder, dataset, hashes)
    write_text(folder / "splits.json", splits.to_json())
    # Last: where this stands, the others do.
    write_text(folder / "experiment.json", json.dumps(description, indent=1) + "\n")
    return Experiment(folder)


def write_dataset(folder: Path, dataset: Dataset, hashes: FileHashes) -> None:
    """Writes ``dataset.json`` of the experiment in that folder."""
    write_text(folder / "dataset.json", json.dumps({**dataset_to_json(dataset), "hashes": hashes}, indent=1) + "\n")
