"""Real patients in the stream: carved, augmented and mixed with synthetic ones."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenunet.core.regions import ED, ET_LABEL, NCR, regions_from_labels
from tokenunet.training.samples.carving import carve
from tokenunet.training.samples.mixed import MixedCases
from tokenunet.training.samples.strong_augmentation import deformed, recolored, without_some
from tokenunet.training.samples.synthetic import SyntheticCases

SHAPE = (32, 40, 32)


def head(seed: int, tumor: tuple[int, int, int] | None):
    """Return a ball of a brain, with a bright ball of a tumor in it or none."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(SHAPE)
    brain = (z - 16) ** 2 + (y - 20) ** 2 + (x - 16) ** 2 < 14**2
    image = random.normal(size=(4, *SHAPE)).astype(np.float32) * brain
    labels = np.zeros(SHAPE, np.uint8)
    if tumor is not None:
        distance = np.sqrt((z - tumor[0]) ** 2 + (y - tumor[1]) ** 2 + (x - tumor[2]) ** 2)
        labels[distance < 5] = ED
        labels[distance < 3] = NCR
        labels[distance < 1.5] = ET_LABEL
        image[:, labels > 0] += 6
    return image, labels


@dataclass(frozen=True)
class FixedCase:
    name: str
    content: tuple

    def image(self):
        return self.content[0]

    def labels(self):
        return self.content[1]

    def regions(self):
        return regions_from_labels(self.content[1])


def test_carve_moves_pixels_and_labels_together():
    host = head(1, None)
    image, labels = carve(head(0, (16, 20, 16)), host, 1.6, np.random.default_rng(3))
    assert (labels == ED).sum() > 200 and (labels == ET_LABEL).any()
    assert image[:, labels > 0].mean() > 4
    far = ~(np.abs(image - host[0]) > 0).any(0)
    assert far.mean() > 0.8 and not labels[far].any()
    assert np.array_equal((image != 0).any(0), (host[0] != 0).any(0))
    assert not host[1].any()


def test_carve_keeps_a_tumor_that_the_host_has():
    _, labels = carve(head(0, (16, 20, 16)), head(1, (16, 11, 16)), 1.6, np.random.default_rng(5))
    assert (labels > 0).sum() > 1.2 * (head(0, (16, 20, 16))[1] > 0).sum()


def test_carve_returns_the_host_where_the_tumor_does_not_fit():
    donor = head(0, (16, 32, 16))
    image, labels = donor[0].copy(), np.zeros(SHAPE, np.uint8)
    labels[:, :6] = ED  # all of it outside of the host's brain
    _, result = carve((image, labels), head(1, None), 1.6, np.random.default_rng(0))
    assert not result.any()


def test_deformed_keeps_the_tumor_on_its_pixels():
    image, labels = head(0, (16, 24, 16))
    image[:, labels == 0] = np.where(image[:, labels == 0] != 0, 0.1, 0)
    regions = torch.from_numpy(regions_from_labels(labels).astype(np.uint8))
    for seed in range(5):
        moved, moved_regions = deformed(torch.from_numpy(image), regions, np.random.default_rng(seed))
        inside = moved_regions[0].bool()
        assert 0.4 < inside.sum() / (labels > 0).sum() < 2.5
        assert moved[0][inside].mean() > 4 * moved[0][~inside & (moved[0] != 0)].mean()
        assert not torch.equal(moved_regions, regions)


def test_recolored_keeps_background_and_normalization():
    image = torch.from_numpy(head(0, (16, 24, 16))[0])
    image[2] = 0
    brain = (image != 0).any(0)
    result = recolored(image.clone(), np.random.default_rng(2))
    assert not result[:, ~brain].any()
    assert torch.allclose(result[0][brain].std(), torch.tensor(1.0), atol=0.05)
    assert not torch.allclose(result[0], image[0])


def test_without_some_never_drops_t2_and_flair_together():
    image = torch.ones(4, 2, 2, 2)
    counts = []
    for seed in range(300):
        missing = (without_some(image, np.random.default_rng(seed)) == 0).flatten(1).all(1)
        counts.append(int(missing.sum()))
        assert not (missing[2] and missing[3])
    assert 0.55 < counts.count(0) / 300 < 0.82
    assert counts.count(2) > 5


def test_mixed_cases_draw_the_share_asked_for_and_repeat_it():
    tumors = [(16, 24, 16), (16, 16, 16), None]
    real = [FixedCase(str(seed), head(seed, tumor)) for seed, tumor in enumerate(tumors)]
    stream = MixedCases(real, SyntheticCases(0, 0, 40, 4.0), 1.0, 1.6, seed=7)
    first, again = stream[3], stream[3]
    assert np.array_equal(first.image(), again.image()) and np.array_equal(first.labels(), again.labels())
    images = [stream[i].image() for i in range(6)]
    assert {image.shape[1:] for image in images} == {SHAPE}
    assert len({image.tobytes() for image in images}) == 6
    synthetic = MixedCases(real, SyntheticCases(0, 0, 2, 4.0), 0.0, 4.0, seed=7)
    assert synthetic[0].image().shape[1:] != SHAPE
