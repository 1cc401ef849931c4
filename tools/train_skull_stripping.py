"""Train the network of brain extraction on an endless stream of synthetic heads, never repeated.

    python -m tools.train_skull_stripping --output FOLDER [--steps 3800] [--resume]
    python -m tools.train_skull_stripping --output FOLDER --ship Resources/BrainExtraction

The folder then holds ``checkpoint.pt`` (the whole state, for ``--resume``), ``log.jsonl`` (a JSON object a line) and
``weights.safetensors`` (the averaged weights, those of the best validation so far). ``--ship`` trains nothing; it
writes those weights in half precision, with a card that says where they come from.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenunet.io.files import sha256_of, write_bytes, write_text
from tokenunet.preprocessing.skull_stripping import (
    NETWORK_SHAPE,
    NETWORK_SPACING,
    WEIGHTS_NAME,
    build_brain_network,
    scaled,
)
from tokenunet.synthesis.fields import seeded, uniform
from tokenunet.synthesis.heads import synthetic_head
from tokenunet.training.loop.checkpoint import load_checkpoint, save_checkpoint
from tokenunet.training.loop.loss import RegionLoss
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset

CHECKPOINT_NAME, LOG_NAME, CARD_NAME = "checkpoint.pt", "log.jsonl", "card.json"
TRAINING_VARIETY = (0.3, 1.0)
"""Range of the randomization strength of heads: weak ones teach the brain, strong ones everything else in a scan."""
VALIDATION_SEED = 10**9
"""Far from the seeds of any training."""
VALIDATION_VARIETY = 1.1
"""Wider randomization of validation heads, to measure generalization beyond the training distribution."""


@dataclass(frozen=True)
class BrainTraining:
    """Settings of a training.

    Attributes:
        steps: Number of training steps, with one head each.
        peak_rate: Learning rate after the warm-up; it decays to 0 at the last step along a cosine.
        warm_up: Number of steps until ``peak_rate``.
        weight_decay: Weight decay of AdamW.
        average_decay: Decay of the exponential moving average of the weights.
        seed: Seed of the weights and the heads.
        validation_cases: Number of validation heads.
        validate_every: Number of steps between two validations and checkpoints.
    """

    steps: int = 3800
    peak_rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-2
    average_decay: float = 0.99
    seed: int = 0
    validation_cases: int = 16
    validate_every: int = 200


def learning_rate(training: BrainTraining, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0."""
    if step < training.warm_up:
        return training.peak_rate * (step + 1) / training.warm_up
    progress = (step - training.warm_up) / max(1, training.steps - training.warm_up)
    return training.peak_rate * 0.5 * (1 + math.cos(math.pi * progress))


def example(seed: int, variety: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the input of the network and the brain of a synthetic head, (1, D, H, W) each."""
    image, brain = synthetic_head(seed, NETWORK_SPACING, NETWORK_SHAPE, variety)
    return scaled(image)[None], brain[None].float()


class Heads(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless examples from a seed on, for at most one background process."""

    def __init__(self, first_seed: int) -> None:
        self.first_seed = first_seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        seed = self.first_seed
        while True:
            yield example(seed, uniform(seeded(seed), *TRAINING_VARIETY))
            seed += 1


@torch.inference_mode()
def validate(network: nn.Module, examples: list[tuple[Tensor, Tensor]]) -> list[float]:
    """Return the Dice of each example."""
    network.eval()
    scores = []
    for image, brain in examples:
        found, truth = network(image[None])[0] > 0, brain > 0.5
        scores.append(2 * float((found & truth).sum()) / max(1.0, float(found.sum() + truth.sum())))
    return scores


class BrainTrainer:
    """State and loop of one training.

    Args:
        training: Settings of the training.
        output: Folder for checkpoint, log and weights; created if needed.
    """

    def __init__(self, training: BrainTraining, output: Path) -> None:
        self.training, self.output = training, output
        output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(training.seed)
        self.network = build_brain_network()
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(training.average_decay))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=training.weight_decay)
        self.loss = RegionLoss(dice_smoothing=50)
        self.step = 0
        self.best = -1.0

    def resume(self) -> None:
        """Continue from the checkpoint in the output folder."""
        state = load_checkpoint(self.output / CHECKPOINT_NAME)
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.best = state["step"], state["best"]

    def save(self) -> None:
        """Write the whole state."""
        state = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        save_checkpoint(self.output / CHECKPOINT_NAME, state | {"step": self.step, "best": self.best})

    def run(self, until: int | None = None, workers: int = 1) -> None:
        """Train to the last step, or to step ``until``.

        Args:
            until: Step at which to pause.
            workers: Number of background processes for the heads, 0 or 1.
        """
        t = self.training
        last = t.steps if until is None else min(until, t.steps)
        examples = [example(VALIDATION_SEED + i, VALIDATION_VARIETY) for i in range(t.validation_cases)]
        heads = Heads(t.seed * 10**7 + self.step)
        self._log({"training": asdict(t), "from_step": self.step})
        began, losses = time.monotonic(), []
        for image, brain in DataLoader(heads, batch_size=1, num_workers=workers):
            if self.step >= last:
                break
            losses.append(self._learn(image, brain))
            self.step += 1
            if self.step % 20 == 0:
                seconds = (time.monotonic() - began) / len(losses)
                self._log({"step": self.step, "loss": sum(losses) / len(losses), "seconds": round(seconds, 2)})
                began, losses = time.monotonic(), []
            if self.step % t.validate_every == 0 or self.step == t.steps:
                self._validate(examples)
                self.save()
        self.save()

    def _learn(self, image: Tensor, brain: Tensor) -> float:
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.training, self.step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(image)
        loss = self.loss(logits, brain)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _validate(self, examples: list[tuple[Tensor, Tensor]]) -> None:
        scores = validate(self.average.module, examples)
        mean, least = sum(scores) / len(scores), min(scores)
        self._log({"step": self.step, "validation": {"dice": round(mean, 4), "least": round(least, 4)}})
        if mean > self.best:
            self.best = mean
            weights = {name: tensor.contiguous() for name, tensor in self.average.module.state_dict().items()}
            card = {"training": asdict(self.training), "step": self.step}
            write_bytes(self.output / WEIGHTS_NAME, safetensors.torch.save(weights, {"card": json.dumps(card)}))

    def _log(self, line: dict[str, Any]) -> None:
        with (self.output / LOG_NAME).open("a") as file:
            file.write(json.dumps(line | {"time": round(time.time())}) + "\n")


def ship(output: Path, folder: Path, cases: int = 30) -> dict[str, Any]:
    """Write the best weights of a training in half precision, and a card that describes the training.

    Args:
        output: Output folder of the training.
        folder: Folder to write.
        cases: Number of unseen heads of each randomization strength for the Dice in the card.

    Returns:
        Content of the card.
    """
    with safetensors.safe_open(output / WEIGHTS_NAME, "pt") as file:
        origin = json.loads(file.metadata()["card"])
        weights = {name: file.get_tensor(name).half() for name in file.keys()}  # noqa: SIM118 (no mapping)
    network = build_brain_network()
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    path = folder / WEIGHTS_NAME
    write_bytes(path, safetensors.torch.save(weights))
    first = VALIDATION_SEED + 10**6
    dice = {
        f"randomization {variety}": sorted(validate(network, [example(first + i, variety) for i in range(cases)]))
        for variety in (0.6, 1.0, VALIDATION_VARIETY)
    }
    card = {
        "name": "Brain extraction",
        "intended_use": "Cuts the brain out of MR scans of the head for research. Not a medical device.",
        "trained_on": "Synthetic heads only, drawn from one label map (Resources/Atlas/colin27/head.nii.gz, Colin27) "
        "with random shapes, contrasts, lesions and artifacts; no patient's scan.",
        "method": "As SynthStrip: Hoopes et al., NeuroImage 260 (2022), doi:10.1016/j.neuroimage.2022.119474",
        "network": "MONAI UNet, 1 input, 1 logit; see build_brain_network",
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "spacing_mm": NETWORK_SPACING,
        "shape": list(NETWORK_SHAPE),
        "synthetic_cases": cases,
        "synthetic_dice": {
            name: {"mean": round(sum(d) / cases, 4), "median": round(d[cases // 2], 4), "least": round(d[0], 4)}
            for name, d in dice.items()
        },
        "weights_sha256": sha256_of(path),
        "license": "Apache-2.0; the label map has the notices of Resources/Atlas/LICENSE.txt",
    } | origin
    write_text(folder / CARD_NAME, json.dumps(card, indent=2) + "\n")
    return card


def main() -> None:
    """Train the network, or ship its weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=BrainTraining.steps)
    parser.add_argument("--peak-rate", type=float, default=BrainTraining.peak_rate)
    parser.add_argument("--seed", type=int, default=BrainTraining.seed)
    parser.add_argument("--validation-cases", type=int, default=BrainTraining.validation_cases)
    parser.add_argument("--validate-every", type=int, default=BrainTraining.validate_every)
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    parser.add_argument("--ship", type=Path, help="train nothing; write the weights here, in half precision")
    arguments = vars(parser.parse_args())
    output, resume, target = (arguments.pop(name) for name in ("output", "resume", "ship"))
    if target:
        print(json.dumps(ship(output, target), indent=2))
        return
    trainer = BrainTrainer(BrainTraining(**arguments), output)
    if resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
