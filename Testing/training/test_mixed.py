"""Real patients in the stream: carved, augmented and mixed with synthetic ones."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from tokenunet.core.regions import ED, ET_LABEL, NCR, regions_from_labels
from tokenunet.training.samples.carving import carve
from tokenunet.training.samples.core_contrast import with_drawn_core, without_enhancement
from tokenunet.training.samples.lesion_contrast import hidden_in_t1ce, with_other_contrast
from tokenunet.training.samples.mixed import MixedCases
from tokenunet.training.samples.strong_augmentation import deformed, recolored, rescaled, shaded, without_some
from tokenunet.training.samples.synthetic import SyntheticCases
from tokenunet.training.samples.white_matter_lesions import with_white_matter_lesions

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


def test_rescaled_shifts_all_of_a_channel_and_leaves_missing_ones_empty():
    image = torch.from_numpy(head(0, (16, 24, 16))[0])
    image[1] = 0
    brain = (image != 0).any(0)
    result = rescaled(image, np.random.default_rng(3))
    assert not result[:, ~brain].any() and not result[1].any()
    for channel, original in zip(result[[0, 2, 3]], image[[0, 2, 3]], strict=True):
        slope = (channel[brain] - channel[brain].mean()) / (original[brain] - original[brain].mean())
        assert slope.std() < 1e-2 and 0.87 <= slope.mean() <= 1.13
        assert not torch.equal(channel, original)


def glioma(column=24, shape=(48, 56, 48)):
    """Return a ball of a brain with a ring-enhancing core in edema that is dark in T1ce."""
    random = np.random.default_rng(0)
    z, y, x = np.indices(shape)
    brain = (z - 24) ** 2 + (y - 28) ** 2 + (x - 24) ** 2 < 22**2
    distance = np.sqrt((z - 24) ** 2 + (y - 30) ** 2 + (x - column) ** 2)
    labels = np.zeros(shape, np.uint8)
    for radius, part in ((10, ED), (6, ET_LABEL), (4, NCR)):
        labels[(distance < radius) & brain] = part
    image = (0.2 * random.normal(size=(4, *shape))).astype(np.float32) * brain
    for part, shifts in {ED: (-0.6, -0.5, 1.2, 1.6), ET_LABEL: (-0.4, 2.0, 1.5, 1.8), NCR: (-1, -1, 2, 1.0)}.items():
        image[:, labels == part] += np.array(shifts, np.float32)[:, None]
    return image, labels


def test_other_contrast_covers_what_real_patients_show_and_leaves_the_rest():
    image, labels = glioma()
    image[0] = 0  # T1 is missing
    original = image.copy()
    edema, core, enhancement = [], [], []
    for seed in range(40):
        result = with_other_contrast(image, labels, np.random.default_rng(seed))
        assert not result[0].any()
        far = ndimage.distance_transform_edt(labels == 0) > 8  # borders are soft
        assert np.array_equal(result[:, far], image[:, far])
        means = {part: result[:, labels == part].mean(1) for part in (ED, NCR, ET_LABEL)}
        edema.append(means[ED][1])
        core.append(means[NCR][3] - means[ED][3])
        enhancement.append(means[ET_LABEL][1])
    assert np.array_equal(image, original)
    assert np.mean(np.array(edema) > -0.15) > 0.2, "isointense edema in T1ce"
    assert min(core) < -0.6 and max(core) > 0.2, "cores darker and brighter than edema in FLAIR"
    assert 0.6 < min(enhancement) < 1.3 and max(enhancement) < 2.6
    assert with_other_contrast(image, np.zeros_like(labels), np.random.default_rng(0)) is image


def test_hidden_in_t1ce_replaces_edema_by_healthy_tissue_and_keeps_enhancement():
    image, labels = glioma(column=13)
    cores = 0
    for seed in range(12):
        result = hidden_in_t1ce(image, labels, np.random.default_rng(seed))
        assert np.array_equal(result[2:], image[2:]), "it shows in T2 and FLAIR as before"
        assert np.array_equal(result[:, labels == ET_LABEL], image[:, labels == ET_LABEL])
        assert result[1][labels == ED].mean() > image[1][labels == ED].mean() + 0.15
        cores += bool((result[1] - image[1])[labels == NCR].mean() > 0.3)
    assert 0 < cores < 12


def test_shaded_brightens_and_darkens_slowly_inside_the_brain():
    image = torch.from_numpy(head(0, (16, 24, 16))[0])
    image[1] = 0
    brain = (image != 0).any(0)
    changed = 0
    for seed in range(12):
        result = shaded(image, np.random.default_rng(seed))
        assert not result[:, ~brain].any() and not result[1].any()
        factor = ((result + 3.5) / (image + 3.5))[0]
        changed += bool((factor[brain] != 1).any())
        steps = (factor[1:] - factor[:-1]).abs()[brain[1:] & brain[:-1]]
        assert steps.max() < 0.1
        assert factor[brain].min() > 0.6 and factor[brain].max() < 1.6
    assert 1 <= changed <= 8


def test_white_matter_lesions_are_bright_in_flair_and_stay_off_the_tumor():
    image, labels = glioma()
    image[0] += 0.6 * (image[0] != 0)  # white matter, all of it
    near = ndimage.distance_transform_edt(labels == 0) <= 5
    brain = (image != 0).any(0)
    for seed in range(8):
        change = with_white_matter_lesions(image, labels, np.random.default_rng(seed)) - image
        assert not change[:, near | ~brain].any()
        assert change[3].max() > 0.3 and change[2].max() > 0.2
        assert change[0].min() < 0
        assert 0.0002 < (change[3] > 0.3)[brain].mean() < 0.3
    image[0] = 0
    assert with_white_matter_lesions(image, labels, np.random.default_rng(0)) is image


def test_without_enhancement_takes_the_ring_out_of_t1ce_and_calls_it_core():
    image, labels = glioma()
    image[1] = np.where(image[0] != 0, 0.8 * image[0] + 0.1, 0) + 2.0 * (labels == ET_LABEL)
    core = (labels == NCR) | (labels == ET_LABEL)
    patchy = 0
    for seed in range(12):
        result, changed = without_enhancement(image, labels, np.random.default_rng(seed))
        assert np.array_equal(result[[0, 2, 3]], image[[0, 2, 3]]), "only T1ce has contrast agent in it"
        assert np.array_equal(changed > 0, labels > 0) and np.array_equal(changed == ED, labels == ED)
        assert np.array_equal((changed == NCR) | (changed == ET_LABEL), core)
        gone = (changed == NCR) & (labels == ET_LABEL)
        assert result[1][gone].mean() < image[1][gone].mean() - 1
        patchy += bool((changed == ET_LABEL).any())
    assert 0 < patchy < 12
    image[0] = 0
    assert without_enhancement(image, labels, np.random.default_rng(0))[0] is image


def test_drawn_core_covers_real_contrasts_to_edema_in_all_sequences():
    image, labels = glioma()
    image[2] = 0  # T2 is missing
    contrasts = []
    far = ndimage.distance_transform_edt(labels != NCR) > 6
    for seed in range(40):
        result = with_drawn_core(image, labels, np.random.default_rng(seed))
        assert not result[2].any() and np.allclose(result[:, far], image[:, far])
        contrasts.append(result[:, labels == NCR].mean(1) - result[:, labels == ED].mean(1))
    t1, _, _, flair = np.array(contrasts).T
    assert (flair > 0.2).mean() > 0.1 and (flair < -0.2).mean() > 0.1, "brighter and darker than edema"
    assert (np.abs(t1) < 0.25).mean() > 0.2, "cores that T1 does not show"
    assert with_drawn_core(image, np.zeros_like(labels), np.random.default_rng(0)) is image


def test_without_some_removes_flair_and_t1ce_most_often():
    image, random = torch.ones(4, 2, 2, 2), np.random.default_rng(0)
    missing = np.array([(without_some(image, random) == 0).flatten(1).all(1).tolist() for _ in range(1500)])
    t1, t1ce, t2, flair = missing.mean(axis=0)
    assert 0.14 < flair < 0.26 and 0.09 < t1ce < 0.19 and t1 < 0.18 and t2 < 0.17
    assert 0.5 < (missing.sum(axis=1) == 0).mean() < 0.65
    assert not (missing[:, 1] & missing[:, 3]).any()
    assert set(missing.sum(axis=1)) == {0, 1, 2}


def test_mixed_cases_draw_the_share_asked_for_and_repeat_it():
    tumors = [(16, 24, 16), (16, 16, 16), None]
    real = [FixedCase(str(seed), head(seed, tumor)) for seed, tumor in enumerate(tumors)]
    stream = MixedCases(real, SyntheticCases(0, 0, 40, 4.0), 1.0, 1.6, seed=7)
    first, again = stream[3], stream[3]
    assert np.array_equal(first.image(), again.image()) and np.array_equal(first.labels(), again.labels())
    images = [stream[i].image() for i in range(6)]
    assert {image.shape[1:] for image in images} == {SHAPE}
    assert len({image.tobytes() for image in images}) == 6
    synthetic = MixedCases(real, SyntheticCases(0, 0, 2, 4.0, complete=True), 0.0, 4.0, seed=7)
    assert synthetic[0].image().shape[1:] != SHAPE
