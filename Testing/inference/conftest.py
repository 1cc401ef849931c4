"""Small models and a brain for them, which all tests of predictions look at."""

import numpy as np
import pytest
import torch
from model_fixtures import small_bundle
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.core.grid import Grid
from tokenunet.preprocessing import Prepared


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return load_bundle(small_bundle(tmp_path_factory.mktemp("bundle") / "model"))


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return load_bundle(small_bundle(tmp_path_factory.mktemp("ensemble") / "model", members=3))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """An off-center box of noise for a brain, on a tilted grid of odd sizes."""
    rng = np.random.default_rng(0)
    brain = np.zeros((61, 75, 58), bool)
    brain[5:50, 10:70, 7:52] = True
    tensor = torch.from_numpy(rng.normal(size=(4, *brain.shape)).astype(np.float32)) * torch.from_numpy(brain)
    grid = Grid((58, 75, 61), (1.0, 1.0, 1.0), (5.0, -3.0, 8.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return Prepared(tensor, brain, grid, grid, {}, ())
