"""What is bright about healthy brains: it lies where anatomy has it, and only contrast agent makes it shine."""

from dataclasses import replace

import pytest
import torch
from tokenunet.core.sequences import SEQUENCES
from tokenunet.synthesis import Kind, draw_parameters
from tokenunet.synthesis.anatomy import ATLASES, Lattice, build_anatomy, load_atlas, surface_distance
from tokenunet.synthesis.artifacts import Leftover, stripped_brain
from tokenunet.synthesis.contrast import paint
from tokenunet.synthesis.growth import grow
from tokenunet.synthesis.landmarks import Landmark

PARAMETERS = draw_parameters(3, kind=Kind.HEALTHY)


@pytest.fixture(scope="module")
def work():
    return build_anatomy(PARAMETERS.pose, Lattice(2.0), landmarks=True)


@pytest.fixture(scope="module")
def outside_mm(work):
    return surface_distance(work.brain, 2.0)


@pytest.mark.parametrize("name", ATLASES)
def test_landmarks_lie_in_the_tissue_they_belong_to(name):
    atlas = load_atlas(name)
    _, gray, white, ventricles, _ = atlas.maps
    inside = atlas.landmarks < 0
    choroid = inside[Landmark.CHOROID]
    assert ventricles[choroid].mean() > 0.35 > 10 * ventricles.mean()
    assert gray[inside[Landmark.LIMBIC]].mean() > 0.45 > gray.mean() * 1.5
    assert white[inside[Landmark.VEINS]].mean() < 0.12
    across = (inside[Landmark.SHEETS].nonzero()[:, 2] - white.shape[2] / 2).abs()
    # The falx has most of the sheets' voxels, and it is in the middle.
    assert across.median() < 4


def test_the_distance_from_a_surface_is_in_millimeters():
    brain = torch.zeros(40, 40, 40, dtype=torch.bool)
    brain[20:] = True
    line = surface_distance(brain, 2.0)[:, 20, 20]
    torch.testing.assert_close(line[17:23], torch.tensor([5.0, 3.0, 1.0, -1.0, -3.0, -5.0]), atol=0.5, rtol=0)


def test_contrast_agent_changes_t1ce_alone_and_only_where_vessels_and_dura_are(work, outside_mm):
    growth = grow(PARAMETERS.tumor, work, work)
    faint, strong = (
        paint(
            replace(
                PARAMETERS.contrast,
                enhancers=replace(PARAMETERS.contrast.enhancers, veins=v, dura=v, choroid=v, leptomeninges=0.0),
            ),
            work,
            work,
            growth,
            outside_mm,
        )
        for v in (0.0, 1.0)
    )
    change = dict(zip(SEQUENCES, strong - faint, strict=True))
    for name in ("T1", "T2", "FLAIR"):
        assert not change[name].any()
    assert change["T1ce"][work.landmarks[Landmark.VEINS] < -1].mean() > 0.7
    deep_white = (work.white > 0.9) & (work.landmarks[: Landmark.LIMBIC].amin(0) > 6) & (outside_mm < -6)
    assert change["T1ce"][deep_white].abs().max() < 0.05


def test_a_poor_strip_keeps_a_rim_sinuses_and_pieces(work, outside_mm):
    clean = replace(
        PARAMETERS.artifacts, strip_mm=0.0, strip_unevenness_mm=0.0, rim_mm=0.0, keeps_sinuses=False, leftovers=()
    )

    def kept(**faults) -> torch.Tensor:
        return stripped_brain(replace(clean, **faults), work, work, outside_mm)

    exact = kept()
    assert (exact != work.brain).float().mean() < 0.02
    assert kept(rim_mm=4.0).sum() > 1.03 * exact.sum()
    assert kept(strip_mm=-1.5).sum() < 0.95 * exact.sum()
    veins = work.landmarks[Landmark.VEINS] < -1
    near = veins & (outside_mm < 4)
    assert kept(keeps_sinuses=True)[near].all()
    assert not exact[near].all()
    center = (40.0, 45.0, 120.0)
    piece = kept(leftovers=(Leftover(center, 8.0, {}),)) & ~exact
    assert 100 < piece.sum() * 8 < 5000
