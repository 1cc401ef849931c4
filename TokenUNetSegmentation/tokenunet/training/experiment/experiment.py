"""Folder of an experiment: the folds of one or more architectures on a dataset or on synthetic patients.

    experiment.json     plan: dataset, preset, overrides, seed, and the configuration of every architecture
    dataset.json        cases with their files and hashes
    splits.json         training and validation cases of each fold
    log.jsonl           log, one JSON object per line: folds started and finished, stops, failures
    cache/              prepared cases; may be deleted at any time
    patients/           synthetic patients for validation, if there is no dataset; may be deleted at any time
    <architecture>/fold_<n>/
        log.jsonl           log, one JSON object per line: settings, steps, epochs, validations
        checkpoints/        last two checkpoints
        best.safetensors    weights of the best validation
        last.safetensors    final weights, used for metrics, predictions and exported models
        validation/         labels predicted with the final weights, one image per case, on the case's own grid
        metrics.json        scores of every validation case; written last, so that it marks the fold as finished
        tensorboard/        log for TensorBoard
    summary.json summary.csv report.html    results of all finished folds, updated after each
    process.json        process that is training
    stop                request to stop: "epoch" or "now"

All files are written under a temporary name first. Only `Experiment` and `FoldFolder` know these names.
"""

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tokenunet.core.errors import ExperimentError, UsageError
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.io.files import SAFE_NAME, write_text
from tokenunet.training.experiment.fold_folder import FoldFolder, StopWhen, read_log

if TYPE_CHECKING:  # these import PyTorch, which takes seconds and is not needed to inspect an experiment
    from tokenunet.data import Dataset, FileHashes
    from tokenunet.training.config.configuration import TrainingConfiguration
    from tokenunet.training.config.presets import PresetName
    from tokenunet.training.experiment.splits import Splits

FORMAT = 1
PATIENTS = "patients"


@dataclass(frozen=True)
class ExperimentPlan:
    """Architectures, folds and settings of an experiment.

    Attributes:
        preset: Preset that every architecture's configuration is based on.
        architectures: Names of registered architectures; in an experiment with the preset ``synthetic``, the names of
            its stages.
        folds: Number of folds of the cross-validation.
        trained_folds: Numbers of the folds that are trained, from 0.
        seed: Seed of splits, weights and patches.
        overrides: Settings that replace the preset's, for every architecture.
    """

    preset: "PresetName"
    architectures: tuple[str, ...]
    folds: int
    trained_folds: tuple[int, ...]
    seed: int
    overrides: Mapping[str, Any]

    @property
    def channels(self) -> tuple[SequenceName, ...]:
        """Sequences that the networks are trained on."""
        value = self.overrides.get("channels", SEQUENCES)
        return tuple(value.split(",") if isinstance(value, str) else value)


def _check_names(names: Iterable[object], folder: Path) -> None:
    """Check that no name in an experiment's files leads out of its folder.

    Raises:
        ExperimentError: If a name is not a plain file name.
    """
    if strange := [name for name in names if not isinstance(name, str) or not SAFE_NAME.fullmatch(name)]:
        raise ExperimentError(
            f"{folder} contains the invalid name {strange[0]!r}.", "Its files were changed; train again."
        )


class Experiment:
    """Experiment in a folder that `create_experiment` made.

    Args:
        folder: Folder of the experiment.

    Raises:
        ExperimentError: If the folder contains no experiment, or one that this version cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.jsonl"
        self.cache = folder / "cache"
        self.patients = folder / PATIENTS
        self.summary = folder / "summary.json"
        self.summary_table = folder / "summary.csv"
        self.report = folder / "report.html"
        try:
            self.description: dict[str, Any] = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ExperimentError(
                f"{folder} contains no experiment.", "Choose the output folder of a training."
            ) from error
        if self.description.get("format") != FORMAT:
            raise ExperimentError(
                f"{folder} has format {self.description.get('format')!r}; this program reads {FORMAT}.",
                "Use the version of Token-UNet that wrote it.",
            )
        _check_names(self.description["architectures"], folder)

    @property
    def plan(self) -> ExperimentPlan:
        """Plan that the experiment was created with."""
        d = self.description
        return ExperimentPlan(
            d["preset"], tuple(d["architectures"]), d["folds"], tuple(d["trained_folds"]), d["seed"], d["overrides"]
        )

    @property
    def synthetic(self) -> bool:
        """Whether the experiment is trained on synthetic patients instead of a dataset."""
        return self.description["preset"] == "synthetic"

    @property
    def splits(self) -> "Splits":
        """Folds of the cross-validation."""
        from tokenunet.training.experiment.splits import Splits

        return Splits.from_json((self.folder / "splits.json").read_text(encoding="utf-8"))

    @property
    def dataset(self) -> "Dataset":
        """Dataset as of the creation of the experiment."""
        from tokenunet.data import dataset_from_json

        dataset = dataset_from_json(self.dataset_values)
        _check_names([case.name for case in dataset.cases], self.folder)
        return dataset

    @property
    def hashes(self) -> "FileHashes":
        """Hashes of the dataset's files as of the creation of the experiment."""
        return self.dataset_values["hashes"]

    @property
    def dataset_values(self) -> dict[str, Any]:
        """Content of ``dataset.json``."""
        return json.loads((self.folder / "dataset.json").read_text(encoding="utf-8"))

    def configuration(self, architecture: str) -> "TrainingConfiguration":
        """Return the configuration of an architecture."""
        from tokenunet.training.config.configuration import TrainingConfiguration

        return TrainingConfiguration.from_json(self.description["configurations"][architecture])

    def fold(self, architecture: str, fold: int) -> FoldFolder:
        """Return the files of a fold of an architecture, which need not exist yet."""
        return FoldFolder(self.folder / architecture / f"fold_{fold}", architecture, fold)

    def jobs(self) -> list[FoldFolder]:
        """Return all folds of all architectures, in the order of their training."""
        plan = self.plan
        return [self.fold(architecture, fold) for fold in plan.trained_folds for architecture in plan.architectures]

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the experiment's log."""
        return read_log(self.log)

    def change(self, settings: Mapping[str, Any]) -> None:
        """Change settings that do not affect the result.

        Args:
            settings: New values by name.

        Raises:
            UsageError: If a setting would affect the result.
        """
        from tokenunet.training.config.configuration import OPERATIONAL, TrainingConfiguration

        if fixed := [name for name in settings if name not in OPERATIONAL]:
            raise UsageError(
                f"The setting {fixed[0]} cannot be changed in an existing experiment.",
                f"Start a new one; --resume may change {' and '.join(OPERATIONAL)} only.",
            )
        if settings:
            for name, values in self.description["configurations"].items():
                changed = TrainingConfiguration.from_json({**values, **settings})
                self.description["configurations"][name] = changed.to_json()
            write_text(self.folder / "experiment.json", json.dumps(self.description, indent=1) + "\n")

    def move_data(self, dataset: "Dataset") -> None:
        """Record the new paths of the dataset's files, whose content is the same."""
        from tokenunet.data import dataset_to_json

        values = {**dataset_to_json(dataset), "hashes": self.hashes}
        write_text(self.folder / "dataset.json", json.dumps(values, indent=1) + "\n")
        self.description["dataset"]["folder"] = str(dataset.folder)
        write_text(self.folder / "experiment.json", json.dumps(self.description, indent=1) + "\n")

    def request_stop(self, when: StopWhen) -> None:
        """Request the training process to stop, after the epoch or as soon as its state is saved."""
        write_text(self.folder / "stop", when)

    def stop_requested(self) -> StopWhen | None:
        """Return the current request to stop; None if there is none."""
        try:
            return "epoch" if (self.folder / "stop").read_text() == "epoch" else "now"
        except FileNotFoundError:
            return None

    def running_process(self) -> psutil.Process | None:
        """Return the process on this computer that is training the experiment; None if there is none.

        Raises:
            ExperimentError: If a process on another computer is training it, or ended without a record of it.
        """
        try:
            values = json.loads((self.folder / "process.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if values["host"] != socket.gethostname():
            raise ExperimentError(
                f"{self.folder} is being trained on {values['host']}.",
                f"If it has ended, delete {self.folder / 'process.json'}.",
            )
        try:
            process = psutil.Process(values["pid"])
            alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - values["created"]) < 1
        except psutil.Error:
            return None
        return process if alive else None

    @contextmanager
    def training_process(self) -> Iterator[None]:
        """Record this process as the one that trains the experiment while the block runs.

        Raises:
            ExperimentError: If another process is training it.
        """
        if (other := self.running_process()) is not None and other.pid != os.getpid():
            raise ExperimentError(
                f"{self.folder} is already being trained by process {other.pid}.", "Wait for it, or stop it first."
            )
        (self.folder / "stop").unlink(missing_ok=True)
        mine = {"pid": os.getpid(), "created": psutil.Process().create_time(), "host": socket.gethostname()}
        write_text(self.folder / "process.json", json.dumps(mine))
        try:
            yield
        finally:
            (self.folder / "process.json").unlink(missing_ok=True)
            (self.folder / "stop").unlink(missing_ok=True)
