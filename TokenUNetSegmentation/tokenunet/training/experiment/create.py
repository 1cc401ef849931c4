"""Creation of the folder of a new experiment, on a dataset or on synthetic patients."""

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
    """Check that a folder is absent or empty.

    Raises:
        OutputExistsError: If it is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} is not empty.", "Choose another folder, or continue with --resume.")


def check_plan(plan: ExperimentPlan) -> dict[str, TrainingConfiguration]:
    """Check a plan without its data, and return the configuration of each architecture.

    Raises:
        ExperimentError: If a fold to train does not exist.
        UsageError: If a setting is unknown or out of range.
    """
    wrong = [fold for fold in plan.trained_folds if not 0 <= fold < plan.folds]
    if wrong:
        raise ExperimentError(f"There is no fold {wrong[0]}.", f"Folds are numbered from 0 to {plan.folds - 1}.")
    return configurations_of(plan.architectures, plan.preset, plan.overrides)


def create_experiment(folder: Path, dataset: Dataset, hashes: FileHashes, plan: ExperimentPlan) -> Experiment:
    """Create the folder of an experiment, with configurations, dataset and splits.

    Args:
        folder: Folder of the experiment; absent or empty.
        dataset: Checked dataset.
        hashes: SHA-256 of the dataset's files.
        plan: Architectures, folds and settings.

    Raises:
        OutputExistsError: If the folder is not empty.
        OutputError: If the folder cannot be written.
        ExperimentError: If a fold to train does not exist.
        UsageError: If a setting is unknown or out of range.
        DatasetError: If there are fewer patients than folds.
    """
    refuse_occupied(folder)
    configurations = check_plan(plan)
    splits = split_cases(dataset.cases, plan.folds, plan.seed, fingerprint(dataset, hashes))
    return _write(folder, dataset, hashes, splits, plan, configurations)


def create_synthetic_experiment(folder: Path, plan: ExperimentPlan) -> Experiment:
    """Create the folder of an experiment on synthetic patients, which are generated when it is trained.

    Args:
        folder: Folder of the experiment; absent or empty.
        plan: Architectures and settings.

    Raises:
        OutputExistsError: If the folder is not empty.
        OutputError: If the folder cannot be written.
        UsageError: If a setting is unknown or out of range.
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
    # Last, so that its presence shows that all files are complete.
    write_text(folder / "experiment.json", json.dumps(description, indent=1) + "\n")
    return Experiment(folder)


def write_dataset(folder: Path, dataset: Dataset, hashes: FileHashes) -> None:
    """Write ``dataset.json`` of an experiment.

    Args:
        folder: Folder of the experiment.
        dataset: Dataset of the experiment.
        hashes: SHA-256 of the dataset's files.
    """
    write_text(folder / "dataset.json", json.dumps({**dataset_to_json(dataset), "hashes": hashes}, indent=1) + "\n")
