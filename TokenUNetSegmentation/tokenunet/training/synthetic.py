"""Trains a network on an endless stream of synthetic patients, none of them seen twice.

    python -m tokenunet.training.synthetic --output COARSE --spacing 2 --steps 2000
    python -m tokenunet.training.synthetic --output FINE --spacing 1 --patch 112 --cuts 2 --steps 400 --initial COARSE

An output folder then holds ``checkpoint.pt`` (the whole state, for ``--resume``), ``log.jsonl`` (a JSON object a
line) and ``weights.safetensors`` (the averaged weights, those of the best validation so far).
"""

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tokenunet.networks import ARCHITECTURES, build_network
from tokenunet.regions import REGIONS
from tokenunet.training.checkpoint import load_checkpoint, save_checkpoint
from tokenunet.training.examples import Example, PatientStream, validation_examples

CHECKPOINT_NAME, LOG_NAME, WEIGHTS_NAME = "checkpoint.pt", "log.jsonl", "weights.safetensors"
VALIDATION_SEED = 10**9
"""Far from the seeds of any training."""
VALIDATION_VARIETY = 1.3
"""Validation draws from ranges this much wider: what counts is how the network does outside what it was trained on."""


@dataclass(frozen=True)
class SyntheticTraining:
    """Everything that decides a training.

    Attributes:
        spacing: of the patients, in mm.
        patch: side of the cubes cut out of them, in voxels; whole brains when None.
        cuts: cubes in a row from one patient.
        whole_share: share of whole brains among the cubes.
        steps: number of examples learnt from, one a step.
        peak_rate: learning rate after the warm-up; it falls to 0 at the last step along a cosine.
        warm_up: steps until ``peak_rate``.
        weight_decay: of AdamW.
        average_decay: of the exponential moving average of the weights.
        seed: of the weights and the patients.
        architecture, arguments: as for `build_network`.
        validation_cases: number of validation patients.
        validate_every: steps between two validations.
        checkpoint_every_s: seconds between two checkpoints.
        workers: processes that make patients in the background; none makes them between the steps.
    """

    spacing: float = 2.0
    patch: int | None = None
    cuts: int = 1
    whole_share: float = 0.15
    steps: int = 2000
    peak_rate: float = 1e-3
    warm_up: int = 60
    weight_decay: float = 1e-2
    average_decay: float = 0.99
    seed: int = 0
    architecture: str = "token_unet_transformer"
    arguments: dict[str, Any] = field(default_factory=dict)
    validation_cases: int = 12
    validate_every: int = 100
    checkpoint_every_s: float = 120.0
    workers: int = 1


def learning_rate(training: SyntheticTraining, step: int) -> float:
    """Linear warm-up, then a cosine down to 0."""
    if step < training.warm_up:
        return training.peak_rate * (step + 1) / training.warm_up
    progress = (step - training.warm_up) / max(1, training.steps - training.warm_up)
    return training.peak_rate * 0.5 * (1 + math.cos(math.pi * progress))


class RegionLoss(nn.Module):
    """Soft Dice plus cross-entropy, each region on its own."""

    def __init__(self) -> None:
        super().__init__()
        # The smoothing, in voxels, keeps the loss of an absent region small where next to nothing is predicted.
        self.dice = DiceLoss(sigmoid=True, smooth_nr=50, smooth_dr=50)

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        return self.dice(logits, regions) + F.binary_cross_entropy_with_logits(logits, regions)


@torch.inference_mode()
def validate(network: nn.Module, examples: list[Example]) -> dict[str, float]:
    """Mean Dice of each region over the examples that have it, and mean false-positive voxels where there is none."""
    network.eval()
    dice: dict[str, list[float]] = {name: [] for name in REGIONS}
    false_positives = []
    for example in examples:
        with torch.autocast("cpu", torch.bfloat16):
            predicted = network(example.image[None])[0] > 0
        for name, mask, truth in zip(REGIONS, predicted, example.regions > 0.5, strict=True):
            if truth.any():
                dice[name].append(2 * float((mask & truth).sum()) / float(mask.sum() + truth.sum()))
            elif name == "WT":
                false_positives.append(float(mask.sum()))
    scores = {name: sum(values) / len(values) for name, values in dice.items() if values}
    scores["mean"] = sum(scores.values()) / max(1, len(scores))
    if false_positives:
        scores["healthy_voxels"] = sum(false_positives) / len(false_positives)
    return {name: round(value, 4) for name, value in scores.items()}


class Trainer:
    """The state of one training, and its loop.

    Args:
        training: what to do.
        output: folder for checkpoint, log and weights; made if it does not exist.
        initial: weights to begin from.
    """

    def __init__(self, training: SyntheticTraining, output: Path, initial: dict[str, Tensor] | None = None) -> None:
        self.training, self.output = training, output
        output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(training.seed)
        self.network = build_network(training.architecture, **training.arguments)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(training.average_decay))
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=training.weight_decay
        )
        self.loss = RegionLoss()
        self.step = 0
        self.best = -1.0

    def resume(self) -> None:
        """Goes on from the output folder's checkpoint."""
        state = load_checkpoint(self.output / CHECKPOINT_NAME)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best = state["step"], state["best"]

    def save(self) -> None:
        """Writes the whole state."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best": self.best,
        }
        save_checkpoint(self.output / CHECKPOINT_NAME, state)

    def run(self, until: int | None = None) -> None:
        """Trains to the last step, or to step ``until``."""
        t = self.training
        last = t.steps if until is None else min(until, t.steps)
        multiple = ARCHITECTURES[t.architecture].size_multiple
        examples = validation_examples(VALIDATION_SEED, t.validation_cases, t.spacing, VALIDATION_VARIETY, multiple)
        stream = PatientStream(t.seed, self.step, t.spacing, t.patch, t.cuts, t.whole_share, multiple)
        self._log({"training": asdict(t), "from_step": self.step})
        saved = time.monotonic()
        losses: list[float] = []
        began = time.monotonic()
        for image, regions in stream.loader(t.workers):
            if self.step >= last:
                break
            losses.append(self._learn(image, regions))
            self.step += 1
            if self.step % 10 == 0:
                seconds = (time.monotonic() - began) / len(losses)
                self._log({"step": self.step, "loss": sum(losses) / len(losses), "seconds": round(seconds, 2)})
                losses, began = [], time.monotonic()
            if self.step % t.validate_every == 0 or self.step == t.steps:
                self._validate(examples)
            if time.monotonic() - saved > t.checkpoint_every_s:
                self.save()
                saved = time.monotonic()
        self.save()

    def _learn(self, image: Tensor, regions: Tensor) -> float:
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.training, self.step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(image)
        loss = self.loss(logits.float(), regions)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _validate(self, examples: list[Example]) -> None:
        scores = validate(self.average.module, examples)
        self._log({"step": self.step, "validation": scores})
        if scores["mean"] > self.best:
            self.best = scores["mean"]
            weights = {name: tensor.contiguous() for name, tensor in self.average.module.state_dict().items()}
            unfinished = self.output / f".{WEIGHTS_NAME}.unfinished"
            safetensors.torch.save_file(weights, unfinished)
            unfinished.replace(self.output / WEIGHTS_NAME)

    def _log(self, line: dict[str, Any]) -> None:
        with (self.output / LOG_NAME).open("a") as file:
            file.write(json.dumps(line | {"time": round(time.time())}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--spacing", type=float, default=2.0)
    parser.add_argument("--patch", type=int)
    parser.add_argument("--cuts", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--peak-rate", type=float, default=1e-3)
    parser.add_argument("--validation-cases", type=int, default=12)
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--initial", type=Path, help="output folder of an earlier training to begin from")
    parser.add_argument("--resume", action="store_true", help="go on from the output folder's checkpoint")
    arguments = vars(parser.parse_args())
    output, initial, resume = (arguments.pop(name) for name in ("output", "initial", "resume"))
    weights = safetensors.torch.load_file(initial / WEIGHTS_NAME) if initial else None
    trainer = Trainer(SyntheticTraining(**arguments), output, weights)
    if resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
