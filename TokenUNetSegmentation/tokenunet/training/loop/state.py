"""State of a training: network, averaged weights, optimizer and progress."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tokenunet.core.errors import ExperimentError
from tokenunet.core.old_keys import current_key
from tokenunet.io.files import write_bytes
from tokenunet.networks import build_network
from tokenunet.networks.blocks import trainable_parameters
from tokenunet.runtime.device import fastest_layout
from tokenunet.training.config.configuration import OPERATIONAL, TrainingConfiguration
from tokenunet.training.experiment.fold_folder import FoldFolder
from tokenunet.training.loop.checkpoint import load_newest, save_newest
from tokenunet.training.loop.initial import load_initial, load_pretrained_transformer
from tokenunet.training.loop.optimization import build_optimizer


@dataclass
class Reached:
    """Progress of a training.

    Attributes:
        step: Number of completed steps.
        skipped_in_a_row: Number of consecutive steps up to this one whose gradient was not finite.
        epoch_losses: Losses of the steps of the current epoch.
        unvalidated_epoch: Epoch whose steps are complete, but not its validation; 0 if there is none.
        best: Highest mean Dice of a validation so far.
        best_epoch: Epoch of the highest mean Dice.
        seconds: Time spent in steps, in seconds.
        peak_memory: Peak memory of all steps, in bytes.
    """

    step: int = 0
    skipped_in_a_row: int = 0
    epoch_losses: list[float] = field(default_factory=list)
    unvalidated_epoch: int = 0
    best: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0
    peak_memory: int = 0


class TrainingState:
    """State of the training of one fold, in memory and in its folder.

    Args:
        fold: Folder of the fold.
        configuration: Settings of the training.
        cases: Names of the training cases.
        seed: Seed of the initial weights.
        fabric: Launched fabric.

    Raises:
        TrainingError: If the initial weights cannot be loaded.
    """

    def __init__(
        self, fold: FoldFolder, configuration: TrainingConfiguration, cases: Sequence[str], seed: int, fabric: Fabric
    ) -> None:
        self._fold, self._fabric = fold, fabric
        self._trains = {"configuration": _decisive_settings(configuration), "cases": cases}
        """Settings and cases that must not change when a training is resumed."""
        torch.manual_seed(seed)
        network = build_network(configuration.architecture, len(configuration.channels), **configuration.arguments)
        if configuration.pretrained_transformer and not fold.begun:
            load_pretrained_transformer(network, fold.experiment / configuration.pretrained_transformer)
        if configuration.initial and not fold.begun:
            load_initial(network, fold.experiment / configuration.initial)
        self.layout = fastest_layout(network)
        network.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.parameters = trainable_parameters(network)
        self.network, self.optimizer = fabric.setup(network, build_optimizer(configuration, network))
        self.average: AveragedModel | None = None
        if configuration.average_decay:
            decay = get_ema_multi_avg_fn(configuration.average_decay)
            self.average = AveragedModel(self.network.module, multi_avg_fn=decay)
        self.reached = Reached()

    @property
    def trained_network(self) -> nn.Module:
        """Network with the resulting weights: the averaged ones, if the training averages."""
        return self.network.module if self.average is None else self.average.module

    def save(self) -> None:
        """Write a checkpoint, in the first process only, since all have the same state."""
        if not self._fabric.is_global_zero:
            return
        with self._fold.log.open("rb+") as log:
            os.fsync(log.fileno())
        state = {
            "network": self.network.module.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "random": torch.get_rng_state(),
            "trains": self._trains,
            "reached": asdict(self.reached),
            "log_bytes": self._fold.log.stat().st_size,
        }
        save_newest(self._fold.checkpoints, self.reached.step, state)

    def restore(self) -> bool:
        """Restore the newest checkpoint, and truncate the log to it.

        Returns:
            Whether there was a checkpoint.

        Raises:
            ExperimentError: If the checkpoint belongs to another training.
            TrainingError: If all checkpoints are damaged.
        """
        saved = load_newest(self._fold.checkpoints)
        if saved is None:
            return False
        state = {current_key(name): value for name, value in saved.items()}
        began = dict(state["trains"])
        began["configuration"] = _decisive_settings(TrainingConfiguration.from_json(json.loads(began["configuration"])))
        if began != self._trains:
            raise ExperimentError(
                f"{self._fold.folder} was started with another configuration or other training cases.",
                "Restore experiment.json and splits.json, or start a new experiment.",
            )
        self.network.module.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        torch.set_rng_state(state["random"])
        self.reached = Reached(**state["reached"])
        if self._fabric.is_global_zero:
            os.truncate(self._fold.log, state["log_bytes"])
        return True

    def save_weights(self, path: Path) -> None:
        """Write the resulting weights as a safetensors file, in the first process only."""
        if self._fabric.is_global_zero:
            weights = {name: tensor.cpu().contiguous() for name, tensor in self.trained_network.state_dict().items()}
            write_bytes(path, safetensors.torch.save(weights))


def _decisive_settings(configuration: TrainingConfiguration) -> str:
    """Return the settings that affect the result, as JSON; settings added since a checkpoint have defaults."""
    return json.dumps({name: v for name, v in configuration.to_json().items() if name not in OPERATIONAL})
