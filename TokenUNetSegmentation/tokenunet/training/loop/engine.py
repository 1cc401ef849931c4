"""Training of one network on one fold, which can be stopped at any time and resumed to the same weights.

`FoldTraining.run` is the entry point. The state is saved in checkpoints (`tokenunet.training.loop.state`), and every
step is logged in ``log.jsonl``.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from tokenunet.core.errors import Cancelled, TrainingError
from tokenunet.core.regions import REGIONS
from tokenunet.runtime.allocator import give_back_freed_memory
from tokenunet.runtime.memory import PeakMemory
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.fold_folder import FoldFolder, StopWhen, append_log
from tokenunet.training.loop.error_messages import user_error
from tokenunet.training.loop.loss import RegionLoss
from tokenunet.training.loop.optimization import learning_rate
from tokenunet.training.loop.state import Reached, TrainingState
from tokenunet.training.loop.validation import dice_of_cases
from tokenunet.training.samples.cases import TrainingCase
from tokenunet.training.samples.patches import PatchDataset, Schedule, patch_loader

_MOST_SKIPPED_STEPS = 20
"""Consecutive steps without a finite gradient after which a training does not recover."""


class FoldTraining:
    """Training of one fold.

    Args:
        fold: Folder of the fold; a training in it is resumed.
        configuration: Settings of the training.
        training: Training cases, as for `PatchDataset`.
        validation: Validation cases.
        seed: Seed of weights and patches.
        fabric: Launched fabric with devices, precision and processes.
        stop_requested: Function that returns whether to stop; called after every step and before every validation case.
        on_step: Callback that receives the number of completed steps and of all steps.

    Attributes:
        state: State that is saved and resumed from.
    """

    def __init__(
        self,
        fold: FoldFolder,
        configuration: TrainingConfiguration,
        training: Sequence[TrainingCase],
        validation: Sequence[TrainingCase],
        seed: int,
        fabric: Fabric,
        stop_requested: Callable[[], StopWhen | None],
        on_step: Callable[[int, int], None],
    ) -> None:
        self._fold, self._configuration, self._fabric = fold, configuration, fabric
        self._validation = validation
        self._stop_requested, self._on_step = stop_requested, on_step
        seed = int(np.random.default_rng([seed, fold.fold]).integers(2**31))
        self._schedule = Schedule(configuration.synthetic_patients or len(training), configuration, seed)
        self._dataset = PatchDataset(training, configuration, seed)
        self.state = TrainingState(fold, configuration, self._dataset.names, seed, fabric)
        self._loss = RegionLoss(configuration.dice_smoothing, configuration.absent_smoothing)

    @property
    def _reached(self) -> Reached:
        return self.state.reached

    @property
    def facts(self) -> dict[str, Any]:
        """Parameters, best epoch, duration and peak memory of the training, for ``metrics.json``."""
        return {
            "parameters": self.state.parameters,
            "best_epoch": self._reached.best_epoch,
            "training": {
                "seconds": round(self._reached.seconds, 1),
                "seconds_per_step": round(self._reached.seconds / max(1, self._reached.step), 3),
                "peak_memory_bytes": self._reached.peak_memory,
            },
        }

    def run(self) -> None:
        """Train to the last epoch, from the beginning or from the newest checkpoint.

        Raises:
            Cancelled: If a stop was requested; the state is saved.
            TrainingError: If gradients stay non-finite, or a data loading process died.
            OutOfMemoryError: If the memory of the device or the computer does not suffice.
            OutputError: If the disk is full.
        """
        try:
            self._resume_or_begin()
            with self._tensorboard() as board:
                self._train(board)
            self.state.save_weights(self._fold.last_weights)
        except Exception as error:
            known = user_error(error, self._fold.folder, str(self._fabric.device), self._configuration.architecture)
            if known is None:
                raise
            raise known from error

    def _train(self, board: SummaryWriter | None) -> None:
        if self._reached.unvalidated_epoch:
            self._end_epoch(board)
        schedule, fabric = self._schedule, self._fabric
        batches = iter(patch_loader(self._dataset, schedule, self._reached.step, fabric.global_rank, fabric.world_size))
        saved = time.monotonic()
        while self._reached.step < schedule.total_steps:
            self._one_step(batches, board)
            self._on_step(self._reached.step, schedule.total_steps)
            if self._reached.step % schedule.steps_per_epoch == 0:
                self._reached.unvalidated_epoch = self._reached.step // schedule.steps_per_epoch
                self.state.save()
                self._end_epoch(board)
                saved = time.monotonic()
            elif time.monotonic() - saved > self._configuration.checkpoint_every_s:
                self.state.save()
                saved = time.monotonic()
            self._check_stop()

    def _one_step(self, batches: Iterator[tuple[Tensor, Tensor]], board: SummaryWriter | None) -> None:
        began = time.perf_counter()
        rate = learning_rate(self._configuration, self._reached.step, self._schedule.total_steps)
        with PeakMemory(self._fabric.device) as memory:
            loss, norm, waited = self._learn(batches, rate)
        self._reached.step += 1
        seconds = time.perf_counter() - began
        self._reached.seconds += seconds
        self._reached.peak_memory = max(self._reached.peak_memory, memory.bytes)
        self._reached.epoch_losses.append(loss)
        self._log(
            "step",
            step=self._reached.step,
            epoch=(self._reached.step - 1) // self._schedule.steps_per_epoch + 1,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            seconds=round(seconds, 3),
            data_seconds=round(waited, 3),
            peak_memory_bytes=memory.bytes,
        )
        if board is not None:
            board.add_scalar("loss/step", loss, self._reached.step)
            board.add_scalar("learning_rate", rate, self._reached.step)

    def _learn(self, batches: Iterator[tuple[Tensor, Tensor]], rate: float) -> tuple[float, float | None, float]:
        """Make an optimizer step.

        Args:
            batches: Iterator over images and regions.
            rate: Learning rate of the step.

        Returns:
            Mean loss, norm of the gradient (None if it is not finite), and seconds spent waiting for patches.
        """
        schedule, fabric = self._schedule, self._fabric
        self.state.network.train()
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate
        waited, loss = 0.0, torch.zeros((), device=fabric.device)
        planned = schedule.batches(self._reached.step, fabric.global_rank, fabric.world_size)
        for number, batch in enumerate(planned, start=1):
            asked = time.perf_counter()
            image, regions = next(batches)
            image = image.to(fabric.device, non_blocking=True, memory_format=self.state.layout)
            regions = regions.to(fabric.device, non_blocking=True)
            waited += time.perf_counter() - asked
            weight = schedule.weight(self._reached.step, batch, fabric.global_rank, fabric.world_size)
            with fabric.no_backward_sync(self.state.network, enabled=number < len(planned)):
                share = self._loss(self.state.network(image), regions) * weight
                fabric.backward(share)
            loss += share.detach()
        norm = self._update()
        return float(fabric.all_reduce(loss)), norm, waited  # type: ignore[arg-type]

    def _update(self) -> float | None:
        """Update the weights and return the norm of the gradient, or None if it is not finite."""
        clip = self._configuration.clip_norm or math.inf
        norm = self._fabric.clip_gradients(
            self.state.network, self.state.optimizer, max_norm=clip, error_if_nonfinite=False
        )
        finite = norm is not None and bool(torch.isfinite(norm))
        scaler = getattr(self._fabric.strategy.precision, "scaler", None)
        if finite or scaler is not None:  # the scaler itself skips such steps, and then lowers its scale
            self.state.optimizer.step()
        self.state.optimizer.zero_grad()
        if finite:
            self._reached.skipped_in_a_row = 0
            if self.state.average is not None:
                self.state.average.update_parameters(self.state.network.module)
            return float(norm)  # type: ignore[arg-type]
        self._reached.skipped_in_a_row += 1
        self._log("skipped_step", step=self._reached.step + 1, reason="The gradient was not finite.")
        if self._reached.skipped_in_a_row == _MOST_SKIPPED_STEPS:
            raise TrainingError(
                f"The gradients of {_MOST_SKIPPED_STEPS} steps in a row were not finite.",
                "Start again with a lower learning rate, or with --set precision=fp32.",
            )
        return None

    def _end_epoch(self, board: SummaryWriter | None) -> None:
        """Log the epoch that just ended, and validate if it is due."""
        epoch, c = self._reached.unvalidated_epoch, self._configuration
        loss = sum(self._reached.epoch_losses) / len(self._reached.epoch_losses)
        dice = None
        if epoch % c.validate_every == 0 or epoch == c.epochs:
            began = time.perf_counter()
            dice = self._validate()
            seconds = round(time.perf_counter() - began, 3)
        self._log("epoch", epoch=epoch, loss=loss)
        if board is not None:
            board.add_scalar("loss/epoch", loss, epoch)
        if dice is not None:
            self._log("validation", epoch=epoch, dice=dice, seconds=seconds)
            if dice["mean"] > self._reached.best:
                self._reached.best, self._reached.best_epoch = dice["mean"], epoch
                self.state.save_weights(self._fold.best_weights)
            for name, value in dice.items() if board is not None else ():
                board.add_scalar(f"dice/{name}", value, epoch)  # type: ignore[union-attr]
        self._reached.unvalidated_epoch = 0
        self._reached.epoch_losses = []
        self.state.save()
        if self._agreed_stop() == "epoch":
            raise Cancelled(f"Stopped after epoch {epoch}. Use --resume to continue.")

    def _validate(self) -> dict[str, float]:
        """Return the mean Dice of each region over the validation cases, which are divided among the processes."""
        rank, ranks = self._fabric.global_rank, self._fabric.world_size
        mine = range(rank, len(self._validation), ranks)
        scores = torch.zeros(len(self._validation), len(REGIONS), dtype=torch.float64)
        with self._fabric.autocast():
            scores[mine.start :: ranks] = dice_of_cases(
                self.state.trained_network,
                [self._validation[i] for i in mine],
                self._configuration,
                self._fabric.device,
                self._check_stop if ranks == 1 else lambda: None,
            )
        give_back_freed_memory()  # whole scans leave holes in the heap that patches do not fill
        if ranks > 1:  # Apple's GPU, which runs a single process, has no double precision
            scores = self._fabric.all_reduce(scores.to(self._fabric.device), reduce_op="sum")  # type: ignore[assignment]
        means = scores.mean(dim=0).tolist()
        dice = dict(zip(REGIONS, means, strict=True))
        return {**dice, "mean": sum(means) / len(means)}

    def _agreed_stop(self) -> StopWhen | None:
        """Return whether to stop, with the same answer in all processes."""
        when = self._stop_requested() if self._fabric.is_global_zero else None
        return self._fabric.broadcast(when) if self._fabric.world_size > 1 else when

    def _check_stop(self) -> None:
        if self._agreed_stop() == "now":
            if not self._reached.unvalidated_epoch:
                self.state.save()
            raise Cancelled("Stopped; the state is saved. Use --resume to continue.")

    def _resume_or_begin(self) -> None:
        if self.state.restore():
            return
        if self._fabric.is_global_zero:
            self._fold.folder.mkdir(parents=True, exist_ok=True)
            self._fold.log.unlink(missing_ok=True)
        self._log(
            "started",
            architecture=self._configuration.architecture,
            parameters=self.state.parameters,
            total_epochs=self._configuration.epochs,
            steps_per_epoch=self._schedule.steps_per_epoch,
            device=str(self._fabric.device),
            processes=self._fabric.world_size,
            precision=str(self._fabric.strategy.precision.precision),
        )
        self.state.save()

    def _log(self, event: str, **values: Any) -> None:
        if self._fabric.is_global_zero:
            append_log(self._fold.log, {"event": event, **values})

    def _tensorboard(self) -> AbstractContextManager[SummaryWriter | None]:
        if not self._fabric.is_global_zero:
            return nullcontext()
        return SummaryWriter(str(self._fold.tensorboard), purge_step=self._reached.step + 1)
