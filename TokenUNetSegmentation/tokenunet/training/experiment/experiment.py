"""The folder of an experiment: five folds of one or more architectures on one dataset, or none but synthetic patients.

    experiment.json     what was asked for: dataset, preset, overrides, seed, and every architecture's configuration
    dataset.json        the cases with their files and hashes
    splits.json         which cases train and validate in each fold
    log.jsonl           a JSON object a line: folds begun and finished, stops, failures
    cache/              prepared cases; may be deleted at any time
    patients/           synthetic patients for validation, where there is no dataset; may be deleted at any time
    <architecture>/fold_<n>/
        log.jsonl           a JSON object a line: settings, steps, epochs, validations
        checkpoints/        the last two whole states
        best.safetensors    the weights of the best validation
        last.safetensors    the weights at the end, which metrics, predictions and exported models are of
        validation/         labels predicted with them, one image a case, on the case's own grid
        metrics.json        Dice of every validation case; written last, so that it says "finished"
        tensorboard/        the log for TensorBoard
    summary.json summary.csv report.html    of all finished folds, made anew after each
    process.json        the process that trains here now
    stop                a request to stop: "epoch" or "now"

Everything is written to a temporary name first. Only `Experiment` and `FoldFolder` spell these names.
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
from tokenunet.io.files import SAFE_NAME, write_text
from tokenunet.training.experiment.fold_folder import FoldFolder, StopWhen, read_log

if TYPE_CHECKING:  # they bring PyTorch, which those who only look at an experiment need not wait for
    from tokenunet.data import Dataset, FileHashes
    from tokenunet.training.config.configuration import TrainingConfiguration
    from tokenunet.training.config.presets import PresetName
    from tokenunet.training.experiment.splits import Splits

FORMAT = 1
PATIENTS = "patients"


@dataclass(frozen=True)
class ExperimentPlan:
    """What to train.

    Attributes:
        preset: every architecture's configuration to begin with.
        architectures: names in `tokenunet.networks.architectures`; once an experiment is made with the preset
            ``synthetic``, the names of its stages.
        folds: of the cross-validation.
        trained_folds: numbers, from 0, of those that are trained.
        seed: of splits, weights and patches.
        overrides: values that replace the preset's, for every architecture.
    """

    preset: "PresetName"
    architectures: tuple[str, ...]
    folds: int
    trained_folds: tuple[int, ...]
    seed: int
    overrides: Mapping[str, Any]


def _check_names(names: Iterable[object], folder: Path) -> None:
    """Raises ExperimentError where a name that an experiment's files hold would lead out of its folder."""
    if strange := [name for name in names if not isinstance(name, str) or not SAFE_NAME.fullmatch(name)]:
        raise ExperimentError(f"{folder} names {strange[0]!r}, which is no name.", "It was changed: train anew.")


class Experiment:
    """An experiment's folder. `create_experiment` makes one, this opens it.

    Raises:
        ExperimentError: where the folder holds no experiment, or one that this version cannot read.
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
                f"{folder} holds no experiment.", "Choose the folder that a training wrote."
            ) from error
        if self.description.get("format") != FORMAT:
            raise ExperimentError(
                f"{folder} has format {self.description.get('format')!r}; this program reads {FORMAT}.",
                "Use the version of Token-UNet that made it.",
            )
        _check_names(self.description["architectures"], folder)

    @property
    def plan(self) -> ExperimentPlan:
        """What it trains."""
        d = self.description
        return ExperimentPlan(
            d["preset"], tuple(d["architectures"]), d["folds"], tuple(d["trained_folds"]), d["seed"], d["overrides"]
        )

    @property
    def synthetic(self) -> bool:
        """Whether it has no data: its patients are made."""
        return self.description["preset"] == "synthetic"

    @property
    def splits(self) -> "Splits":
        """Its folds."""
        from tokenunet.training.experiment.splits import Splits

        return Splits.from_json((self.folder / "splits.json").read_text(encoding="utf-8"))

    @property
    def dataset(self) -> "Dataset":
        """The cases, as they were when the experiment was made."""
        from tokenunet.data import dataset_from_json

        dataset = dataset_from_json(self.dataset_values)
        _check_names([case.name for case in dataset.cases], self.folder)
        return dataset

    @property
    def hashes(self) -> "FileHashes":
        """Of the dataset's files, as they were when the experiment was made."""
        return self.dataset_values["hashes"]

    @property
    def dataset_values(self) -> dict[str, Any]:
        """What ``dataset.json`` holds."""
        return json.loads((self.folder / "dataset.json").read_text(encoding="utf-8"))

    def configuration(self, architecture: str) -> "TrainingConfiguration":
        """How that architecture is trained."""
        from tokenunet.training.config.configuration import TrainingConfiguration

        return TrainingConfiguration.from_json(self.description["configurations"][architecture])

    def fold(self, architecture: str, fold: int) -> FoldFolder:
        """The files of one architecture's fold, which need not exist yet."""
        return FoldFolder(self.folder / architecture / f"fold_{fold}", architecture, fold)

    def jobs(self) -> list[FoldFolder]:
        """All folds of all architectures, in the order in which they are trained."""
        plan = self.plan
        return [self.fold(architecture, fold) for fold in plan.trained_folds for architecture in plan.architectures]

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return read_log(self.log)

    def change(self, settings: Mapping[str, Any]) -> None:
        """Gives settings that decide nothing about the result another value.

        Raises:
            UsageError: for any other setting.
        """
        from tokenunet.training.config.configuration import OPERATIONAL, TrainingConfiguration

        if fixed := [name for name in settings if name not in OPERATIONAL]:
            raise UsageError(
                f"{fixed[0]} cannot change in an experiment that was begun.",
                f"Begin a new one; --resume may change {' and '.join(OPERATIONAL)} only.",
            )
        if settings:
            for name, values in self.description["configurations"].items():
                changed = TrainingConfiguration.from_json({**values, **settings})
                self.description["configurations"][name] = changed.to_json()
            write_text(self.folder / "experiment.json", json.dumps(self.description, indent=1) + "\n")

    def move_data(self, dataset: "Dataset") -> None:
        """Record where the files of the dataset are now; their content is the same."""
        from tokenunet.data import dataset_to_json

        values = {**dataset_to_json(dataset), "hashes": self.hashes}
        write_text(self.folder / "dataset.json", json.dumps(values, indent=1) + "\n")
        self.description["dataset"]["folder"] = str(dataset.folder)
        write_text(self.folder / "experiment.json", json.dumps(self.description, indent=1) + "\n")

    def request_stop(self, when: StopWhen) -> None:
        """Asks the process that trains here to stop, after the epoch or as soon as its state is saved."""
        write_text(self.folder / "stop", when)

    def stop_requested(self) -> StopWhen | None:
        """What was asked for."""
        try:
            return "epoch" if (self.folder / "stop").read_text() == "epoch" else "now"
        except FileNotFoundError:
            return None

    def running_process(self) -> psutil.Process | None:
        """The process on this computer that trains here now.

        Raises:
            ExperimentError: where one on another computer does, or did and could not say that it ended.
        """
        try:
            values = json.loads((self.folder / "process.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if values["host"] != socket.gethostname():
            raise ExperimentError(
                f"{self.folder} is being trained on {values['host']}.",
                f"If that is no longer so, delete {self.folder / 'process.json'}.",
            )
        try:
            process = psutil.Process(values["pid"])
            alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - values["created"]) < 1
        except psutil.Error:
            return None
        return process if alive else None

    @contextmanager
    def training_process(self) -> Iterator[None]:
        """While the block runs, the folder says that this process trains here.

        Raises:
            ExperimentError: where another process does.
        """
        if (other := self.running_process()) is not None and other.pid != os.getpid():
            raise ExperimentError(
                f"{self.folder} is being trained already, by process {other.pid}.", "Wait for it, or stop it first."
            )
        (self.folder / "stop").unlink(missing_ok=True)
        mine = {"pid": os.getpid(), "created": psutil.Process().create_time(), "host": socket.gethostname()}
        write_text(self.folder / "process.json", json.dumps(mine))
        try:
            yield
        finally:
            (self.folder / "process.json").unlink(missing_ok=True)
            (self.folder / "stop").unlink(missing_ok=True)
