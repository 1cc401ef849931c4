"""What a training must not lose: its network, averaged weights and optimizer, and how far it has come."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tokenunet.core.errors import ExperimentError
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
    """How far a training has come.

    Attributes:
        step: steps that are done.
        skipped_in_a_row: steps just before this one whose gradient was not finite.
        epoch_losses: of the steps of the epoch that is under way.
        unvalidated_epoch: whose steps are done, but not its end; 0 where there is none.
        best: highest mean Dice of a validation so far.
        best_epoch: its epoch.
        seconds: spent in steps.
        peak_memory: of all steps, in bytes.
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
    """The state of one fold's training, in memory and in its folder.

    Args:
        fold: where it is saved.
        configuration: of the training.
        cases: names of those that are learned from.
        seed: of the first weights.
        fabric: launched.

    Raises:
        TrainingError: where the weights to begin from cannot be had.
    """

    def __init__(
        self, fold: FoldFolder, configuration: TrainingConfiguration, cases: Sequence[str], seed: int, fabric: Fabric
    ) -> None:
        self._fold, self._fabric = fold, fabric
        self._trains = {"configuration": _decisive_settings(configuration), "cases": cases}
        """What must not change between the parts of an interrupted training."""
        torch.manual_seed(seed)
        network = build_network(configuration.architecture, **configuration.arguments)
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
        """The network whose weights count: the averaged one where there is one."""
        return self.network.module if self.average is None else self.average.module

    def save(self) -> None:
        """Writes the whole state; in the first process only, since all have the same."""
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
        """Goes back to what was saved last, and cuts the log back to then; False where nothing was.

        Raises:
            ExperimentError: where it is another training's.
            TrainingError: where all that was saved is damaged.
        """
        state: dict[str, Any] | None = load_newest(self._fold.checkpoints)
        if state is None:
            return False
        state["optimizer"] = state.get("optimiser") or state["optimizer"]  # version 0.1 wrote "optimiser"
        began = dict(state["trains"])
        began["configuration"] = _decisive_settings(TrainingConfiguration.from_json(json.loads(began["configuration"])))
        if began != self._trains:
            raise ExperimentError(
                f"{self._fold.folder} was begun with another configuration or other training cases.",
                "Put experiment.json and splits.json back as they were, or begin a new experiment.",
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
        """Writes the weights that count, in the first process only."""
        if self._fabric.is_global_zero:
            weights = {name: tensor.cpu().contiguous() for name, tensor in self.trained_network.state_dict().items()}
            write_bytes(path, safetensors.torch.save(weights))


def _decisive_settings(configuration: TrainingConfiguration) -> str:
    """Return the settings that decide about the result as JSON; settings added since a checkpoint have defaults."""
    return json.dumps({name: v for name, v in configuration.to_json().items() if name not in OPERATIONAL})
