"""Stream of training cases that mixes a few real patients, strongly augmented, with synthetic ones.

Real tumors are also carved into other patients (`tokenunet.training.samples.carving`); patients without a tumor are
used and serve as hosts. The contrasts of all tumors, also synthetic ones, are augmented
(`tokenunet.training.samples.lesion_contrast`, `tokenunet.training.samples.core_contrast`), and white-matter lesions are
added as negative examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokenunet.core.regions import labels_from_regions, regions_from_labels
from tokenunet.training.samples.carving import Labeled, carve
from tokenunet.training.samples.cases import TrainingCase
from tokenunet.training.samples.core_contrast import with_drawn_core, without_enhancement
from tokenunet.training.samples.lesion_contrast import hidden_in_t1ce, with_other_contrast
from tokenunet.training.samples.strong_augmentation import deformed, recolored, rescaled, shaded, without_some
from tokenunet.training.samples.synthetic import SyntheticCases
from tokenunet.training.samples.white_matter_lesions import with_white_matter_lesions

TUMOR_FREE_SHARE = 0.16
"""Share of patients without a tumor among the real ones, if the data contain any."""
CARVED_SHARE = 0.29
NOT_ENHANCING_SHARE = 0.25
DRAWN_CORE_SHARE = 0.3
OTHER_CONTRAST_SHARE = 0.65
"""Share of those whose core was not drawn."""
HIDDEN_SHARE = 0.25
"""Share of the patients with a tumor whose tumor is hidden in T1ce."""
LESION_SHARE = 0.12
"""Share of the patients with a tumor that get white-matter lesions; `FREE_LESION_SHARE` for those without."""
FREE_LESION_SHARE = 0.6
SHADED_SHARES = (0.6, 0.3)
"""Shares of real and of synthetic patients."""
RESCALED_SHARE = 0.4
DEFORMED_SHARE = 0.8
RECOLORED_SYNTHETIC_SHARE = 0.5
"""Synthetic patients have their own imperfections; half of them get a few more."""


@dataclass(frozen=True)
class MixedCase:
    """Case of the stream; implements `tokenunet.training.samples.cases.TrainingCase`.

    Attributes:
        name: Name of the case.
        tumors: Real patients with a tumor, shared by all cases.
        free: Real patients without a tumor, shared by all cases.
        synthetic: Synthetic patient of this case.
        real_share: Probability that a real patient is used instead.
        spacing: Voxel size in mm.
        seed: Seed of all random draws.
    """

    name: str
    tumors: Sequence[TrainingCase]
    free: Sequence[TrainingCase]
    synthetic: TrainingCase
    real_share: float
    spacing: float
    seed: int

    @cached_property
    def _sample(self) -> Labeled:
        random = np.random.default_rng(self.seed)
        is_real = random.random() < self.real_share
        image, labels = self._real(random) if is_real else _pixels(self.synthetic)
        if random.random() < NOT_ENHANCING_SHARE:
            image, labels = without_enhancement(image, labels, random)
        if random.random() < DRAWN_CORE_SHARE:
            image = with_drawn_core(image, labels, random)
        elif random.random() < OTHER_CONTRAST_SHARE:
            image = with_other_contrast(image, labels, random)
        if labels.any() and random.random() < HIDDEN_SHARE:
            image = hidden_in_t1ce(image, labels, random)
        if random.random() < (LESION_SHARE if labels.any() else FREE_LESION_SHARE):
            image = with_white_matter_lesions(image, labels, random)
        pixels = torch.from_numpy(image.copy())
        regions = torch.from_numpy(regions_from_labels(labels).astype(np.uint8))
        if random.random() < 0.5:
            pixels, regions = pixels.flip(-1), regions.flip(-1)
        if is_real and random.random() < DEFORMED_SHARE:
            pixels, regions = deformed(pixels, regions, random)
        if random.random() < SHADED_SHARES[not is_real]:
            pixels = shaded(pixels, random)
        if is_real or random.random() < RECOLORED_SYNTHETIC_SHARE:
            pixels = recolored(pixels, random, 1.0 if is_real else 0.3)
        if random.random() < RESCALED_SHARE:
            pixels = rescaled(pixels, random)
        pixels = without_some(pixels, random)
        return pixels.numpy(), labels_from_regions(regions.numpy().astype(bool))

    def _real(self, random: np.random.Generator) -> Labeled:
        def one_of(cases: Sequence[TrainingCase]) -> Labeled:
            return _pixels(cases[int(random.integers(len(cases)))])

        drawn = random.random()
        if not self.tumors or (self.free and drawn < TUMOR_FREE_SHARE):
            return one_of(self.free)
        if drawn < TUMOR_FREE_SHARE + CARVED_SHARE:
            # Few patients are free of tumors, and a tumor carved into them looks least like its original.
            hosts = [*self.tumors, *self.free, *self.free, *self.free]
            return carve(one_of(self.tumors), one_of(hosts), self.spacing, random)
        return one_of(self.tumors)

    def image(self) -> NDArray[np.float32]:
        """Return the image (C, D, H, W) in the order of `SEQUENCES`: z-scores inside the brain, 0 outside."""
        return self._sample[0]

    def labels(self) -> NDArray[np.uint8]:
        """Return the exclusive labels (D, H, W)."""
        return self._sample[1]

    def regions(self) -> NDArray[np.bool_]:
        """Return the regions (3, D, H, W) in the order of `REGIONS`."""
        return regions_from_labels(self.labels())


class MixedCases(Sequence[MixedCase]):
    """All cases of a training's stream; each depends on the training's seed and its own number only.

    Args:
        real: Prepared real patients, with or without a tumor.
        synthetic: Complete synthetic patients, as many as the stream has cases; sequences are removed here.
        real_share: Share of the cases that use real patients.
        spacing: Voxel size in mm.
        seed: Seed of the training.
    """

    def __init__(
        self, real: Sequence[TrainingCase], synthetic: SyntheticCases, real_share: float, spacing: float, seed: int
    ) -> None:
        self._tumors = [case for case in real if case.labels().any()]
        self._free = [case for case in real if not case.labels().any()]
        self._synthetic = synthetic
        self._share, self._spacing, self._seed = real_share, spacing, seed

    def __len__(self) -> int:
        return len(self._synthetic)

    def __getitem__(self, place: int) -> MixedCase:  # type: ignore[override]
        synthetic = self._synthetic[place]
        seed = int(np.random.default_rng([self._seed, place]).integers(2**31))
        return MixedCase(f"mixed_{place:06d}", self._tumors, self._free, synthetic, self._share, self._spacing, seed)


def _pixels(case: TrainingCase) -> Labeled:
    image: NDArray[Any] = case.image()
    return np.asarray(image, np.float32), np.asarray(case.labels())
