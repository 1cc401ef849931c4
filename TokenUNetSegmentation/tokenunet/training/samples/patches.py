"""Deterministic patch sampling schedule and dataset.

The whole schedule depends on the seed only, so that a resumed training continues with the same patches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tokenunet.core.regions import regions_from_labels
from tokenunet.runtime.allocator import reuse_freed_memory
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.samples.augmentation import augmented
from tokenunet.training.samples.cases import TrainingCase, brain_view


class Patch(NamedTuple):
    """Address of a patch; the same address always gives the same patch.

    Attributes:
        epoch: Number of the epoch, from 0.
        case: Number of the case within an epoch.
        repeat: Number of the patch of this case within the epoch.
    """

    epoch: int
    case: int
    repeat: int


@dataclass(frozen=True)
class Schedule:
    """Order of the patches of a training.

    Attributes:
        cases: Number of training cases per epoch.
        configuration: Settings of the training.
        seed: Seed of the order.
    """

    cases: int
    configuration: TrainingConfiguration
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Number of optimizer steps per epoch; the last step may have fewer patches than the others."""
        return -(-self.cases * self.configuration.patches_per_case // self._patches_per_step)

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps of all epochs."""
        return self.steps_per_epoch * self.configuration.epochs

    @property
    def _patches_per_step(self) -> int:
        return self.configuration.batch_size * self.configuration.accumulation

    def step(self, number: int) -> list[Patch]:
        """Return the patches of a step, counted from 0."""
        epoch, place = divmod(number, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.cases * self.configuration.patches_per_case)
        chosen = order[place * self._patches_per_step : (place + 1) * self._patches_per_step]
        return [Patch(epoch, int(i) % self.cases, int(i) // self.cases) for i in chosen]

    def batches(self, number: int, rank: int = 0, ranks: int = 1) -> list[list[Patch]]:
        """Return the patches of a step for one of several processes, as a list for each forward pass.

        If there are more processes than patches, the surplus ones get a patch, too, with a `weight` of 0.

        Args:
            number: Number of the step, from 0.
            rank: Rank of the process.
            ranks: Number of processes.
        """
        step = self.step(number)
        mine = step[rank::ranks] or step[:1]
        size = self.configuration.batch_size
        return [mine[i : i + size] for i in range(0, len(mine), size)]

    def weight(self, number: int, batch: Sequence[Patch], rank: int = 0, ranks: int = 1) -> float:
        """Return the weight of a batch's mean loss, with which the mean over the processes is the mean over the step.

        Args:
            number: Number of the step, from 0.
            batch: Batch from `batches`.
            rank: Rank of the process.
            ranks: Number of processes.
        """
        step = self.step(number)
        return len(batch) * ranks / len(step) if rank < len(step) else 0.0


class PatchDataset(Dataset):
    """Dataset of patches or whole brains by address: image (C, D, H, W), float32, and regions (3, D, H, W), uint8.

    Args:
        cases: Cases of an epoch; synthetic ones of all epochs in their order.
        configuration: Settings of the training.
        seed: Seed of the patches.
    """

    def __init__(self, cases: Sequence[TrainingCase], configuration: TrainingConfiguration, seed: int) -> None:
        self._cases = cases
        self._configuration = configuration
        self._seed = seed

    @property
    def names(self) -> list[str]:
        """Names of the cases."""
        return [case.name for case in self._cases]

    def __getitem__(self, patch: Patch) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng([self._seed, *patch, 1])
        c = self._configuration
        case = self._cases[patch.epoch * c.synthetic_patients + patch.case]
        pixels, regions = self._whole(case) if c.whole_brains else self._patch(case, random)
        if c.augmentation:
            return augmented(pixels, regions, int(random.integers(2**31)))
        return pixels, regions

    def _whole(self, case: TrainingCase) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(np.array(case.image(), dtype=np.float32))
        view = brain_view(image, self._configuration.architecture)
        return view.cut(image), view.cut(torch.from_numpy(case.regions().astype(np.uint8)))

    def _patch(self, case: TrainingCase, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        size = self._configuration.patch_size
        image, labels = case.image(), case.labels()
        box = _box(labels, size, self._configuration.tumor_share, random)
        pixels = _cut(image, box, size).astype(np.float32)
        regions = regions_from_labels(_cut(labels[None], box, size)[0]).astype(np.uint8)
        return torch.from_numpy(pixels), torch.from_numpy(regions)


def _box(
    labels: NDArray[np.uint8], size: Sequence[int], tumor_share: float, random: np.random.Generator
) -> list[slice]:
    """Draw a random box inside a volume.

    Args:
        labels: Exclusive labels (D, H, W).
        size: Largest size of the box along z, y and x.
        tumor_share: Probability that the box is forced to contain a tumor voxel.
        random: Source of randomness.
    """
    focus: NDArray[np.intp] | None = None
    if random.random() < tumor_share:
        tumor = np.flatnonzero(labels)
        if len(tumor):
            focus = np.array(np.unravel_index(tumor[random.integers(len(tumor))], labels.shape))
    box = []
    for axis, (side, extent) in enumerate(zip(size, labels.shape, strict=True)):
        side = min(side, extent)
        low, high = 0, extent - side
        if focus is not None:
            low, high = max(low, focus[axis] - side + 1), min(high, focus[axis])
        start = int(random.integers(low, high + 1))
        box.append(slice(start, start + side))
    return box


def _cut(volume: NDArray, box: Sequence[slice], size: Sequence[int]) -> NDArray:
    """Cut a box out of a volume (C, D, H, W), padded with zeros at the end if the volume is smaller than ``size``."""
    cut = np.asarray(volume[(slice(None), *box)])
    missing = [side - extent for side, extent in zip(size, cut.shape[1:], strict=True)]
    return np.pad(cut, [(0, 0), *((0, m) for m in missing)]) if any(missing) else cut


class _Batches:
    """Batches of a process from a step on, as the batch sampler of a loader."""

    def __init__(self, schedule: Schedule, first_step: int, rank: int, ranks: int) -> None:
        self._arguments = (schedule, first_step, rank, ranks)

    def __iter__(self) -> Iterator[list[Patch]]:
        schedule, first_step, rank, ranks = self._arguments
        for number in range(first_step, schedule.total_steps):
            yield from schedule.batches(number, rank, ranks)


def patch_loader(dataset: PatchDataset, schedule: Schedule, first_step: int, rank: int, ranks: int) -> DataLoader:
    """Return a loader of all batches from a step to the end of the training, so that its processes start only once.

    Args:
        dataset: Dataset of patches.
        schedule: Order of the patches.
        first_step: Number of the first step, from 0.
        rank: Rank of the process.
        ranks: Number of processes.
    """
    workers = schedule.configuration.workers
    ahead = 2 if schedule.configuration.whole_brains else 4
    return DataLoader(
        dataset,
        batch_sampler=_Batches(schedule, first_step, rank, ranks),
        num_workers=workers,
        prefetch_factor=ahead if workers else None,
        # A forked process would inherit the locks of this one's thread pools.
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=reuse_freed_memory,
    )
