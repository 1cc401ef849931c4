"""Training examples: synthetic patients as tensors, prepared the way inference prepares a scan."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tokenunet.inference.field_of_view import FieldOfView
from tokenunet.preprocessing.prepare import normalise
from tokenunet.regions import regions_from_labels
from tokenunet.sequences import SEQUENCES
from tokenunet.synthesis import SyntheticPatient, synthetic_patient
from tokenunet.synthesis.fields import chance, seeded


@dataclass(frozen=True)
class Example:
    """One patient, or a part of one.

    Attributes:
        image: float32 (C, D, H, W), channels in the order of `SEQUENCES`, z-scores in the brain and 0 outside.
        regions: float32 (3, D, H, W) in the order of `REGIONS`, 0 or 1.
    """

    image: Tensor
    regions: Tensor


def whole_brain(patient: SyntheticPatient, multiple: int) -> Example:
    """The patient's brain in the smallest box whose sides are multiples of ``multiple`` voxels."""
    brain = np.logical_or.reduce([image != 0 for image in patient.images.values()])
    scores = torch.stack([normalise(patient.images[name], brain, name) for name in SEQUENCES])
    view = FieldOfView.of_brain(brain, multiple)
    regions = torch.from_numpy(regions_from_labels(patient.labels).astype(np.float32))
    return Example(view.cut(scores), view.cut(regions))


def cropped(example: Example, size: int, generator: torch.Generator) -> Example:
    """A random cube of at most ``size`` voxels a side; three of four hold a tumour voxel, if there is one."""
    shape = example.regions.shape[1:]
    inside = example.regions[0].nonzero()
    focus = None
    if len(inside) and chance(generator, 0.75):
        focus = inside[int(torch.randint(len(inside), (), generator=generator))].tolist()
    box: list[slice] = [slice(None)]
    for axis, n in enumerate(shape):
        side = min(size, n)
        low, high = 0, n - side
        if focus:
            low, high = max(low, focus[axis] - side + 1), min(high, focus[axis])
        start = int(torch.randint(low, high + 1, (), generator=generator))
        box.append(slice(start, start + side))
    index = tuple(box)
    return Example(example.image[index], example.regions[index])


@dataclass(frozen=True)
class PatientStream(IterableDataset):
    """An endless stream of patients, or of cubes cut out of them; example i is always the same.

    Attributes:
        seed: of the first patient; the next has the next seed.
        start: number of the first example given out, so that a resumed training goes on where it stopped.
        spacing: in mm.
        patch: side of the cubes, in voxels; whole brains when None.
        cuts: examples in a row from one patient. Making a patient at 1 mm costs as much as learning from it.
        whole_share: share of whole brains among the cubes.
        multiple: every side is a multiple of this many voxels.
    """

    seed: int
    start: int
    spacing: float
    patch: int | None
    cuts: int
    whole_share: float
    multiple: int

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        whole: Example | None = None
        for number in count(self.start):
            patient, cut = divmod(number, self.cuts)
            if whole is None or cut == 0:
                whole = whole_brain(synthetic_patient(self.seed + patient, self.spacing), self.multiple)
            example = whole
            generator = seeded(number)
            if self.patch is not None and not chance(generator, self.whole_share):
                example = cropped(whole, self.patch, generator)
            yield example.image, example.regions

    def loader(self, workers: int = 1) -> DataLoader:
        """Batches of one, made by at most one process in the background."""
        if workers == 0:
            return DataLoader(self, batch_size=1)
        # A forked process would inherit the locks of this one's thread pools.
        return DataLoader(self, batch_size=1, num_workers=1, prefetch_factor=3, multiprocessing_context="spawn")


def validation_examples(first_seed: int, cases: int, spacing: float, variety: float, multiple: int) -> list[Example]:
    """Whole brains of patients drawn from ranges ``variety`` times as wide as those of training."""
    return [whole_brain(synthetic_patient(first_seed + i, spacing, variety), multiple) for i in range(cases)]
