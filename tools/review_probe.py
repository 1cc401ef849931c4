"""Fit of the review's probe: two logistic layers on the frozen features of a network."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle
from tokenunet.inference.crop import BrainCrop
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.networks.probe import Probe, ProbeOutput
from torch import Tensor, nn

from tools.review_patients import Sample

_RIDGE = 100.0


class FeatureRecorder(Probe):
    """Probe that keeps the features it could read, one array (F, d, h, w) for each stage, and reads nothing."""

    bottleneck: Tensor
    fine: Tensor

    @contextmanager
    def attached(self, network: nn.Module) -> Iterator[list[ProbeOutput]]:
        """Record the features of the next forward passes."""

        def keep_fine(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.fine = inputs[0][0].float().clone()

        def keep_bottleneck(module: nn.Module, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
            self.bottleneck = output[0][0].float().clone()

        hooks = (
            network.down[-1].conv.register_forward_pre_hook(keep_fine),  # type: ignore[index, union-attr]
            network.fuser.register_forward_hook(keep_bottleneck),  # type: ignore[union-attr]
        )
        try:
            yield []
        finally:
            for hook in hooks:
                hook.remove()


def fit_probe(bundle: ModelBundle, patients: Iterable[Sample]) -> Probe:
    """Fit both logistic layers to the share of tumor in each voxel of the features.

    Args:
        bundle: Model.
        patients: Patients of the fit.
    """
    recorder = FeatureRecorder(0, 0)
    options = InferenceOptions(device="cpu", fast=True)
    rows: dict[str, list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = {"bottleneck": [], "fine": []}
    for sample in patients:
        predict(sample.prepared, replace(bundle, probe=recorder), options)
        for name, found in rows.items():
            found.append(_rows(getattr(recorder, name), sample))
    bottleneck, fine = (tuple(map(np.concatenate, zip(*rows[name], strict=True))) for name in ("bottleneck", "fine"))
    probe = Probe(bottleneck[0].shape[1], fine[0].shape[1])
    for (x, share), prefix in ((bottleneck, ""), (fine, "fine_")):
        weight, bias = logistic(x, share)
        getattr(probe, f"{prefix}weight").copy_(torch.from_numpy(weight))
        getattr(probe, f"{prefix}bias").fill_(bias)
    probe.mean.copy_(torch.from_numpy(bottleneck[0].mean(axis=0)))
    probe.deviation.copy_(torch.from_numpy(bottleneck[0].std(axis=0) + 1e-3))
    return probe


def _rows(features: Tensor, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the features (n, F) of the voxels in the brain, and the share of tumor of each."""
    view = BrainCrop.of_brain(sample.prepared.brain, 8)
    factor = view.size[0] // features.shape[1]

    def shares(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        cut = view.cut(torch.from_numpy(mask).float())[None, None]
        return nn.functional.avg_pool3d(cut, factor).flatten().numpy()

    brain, tumor = shares(sample.prepared.brain) > 0.1, shares(sample.regions[0])
    if factor < 8:
        brain &= (tumor > 0) | (np.random.default_rng(0).random(len(brain)) < 0.3)  # enough of the many healthy ones
    return features.flatten(1).T.numpy()[brain], tumor[brain]


def logistic(
    x: NDArray[np.float32], y: NDArray[np.float32], ridge: float = _RIDGE, least_deviation: float = 1e-3
) -> tuple[NDArray[np.float32], float]:
    """Fit a logistic layer with a ridge penalty on the scaled features by Newton's method.

    Args:
        x: Features (n, F).
        y: Target of each row, from 0 to 1.
        ridge: Strength of the penalty.
        least_deviation: Least deviation by which a feature is scaled, so that rare ones get no large weight.

    Returns:
        Weights (F,) and bias for the unscaled features.
    """
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), least_deviation)
    rows = np.c_[(x - mean) / deviation, np.ones(len(x))].astype(np.float64)
    penalty = np.full(rows.shape[1], ridge)
    penalty[-1] = 1e-6
    beta = np.zeros(rows.shape[1])
    for _ in range(25):
        p = 0.5 * (1 + np.tanh(rows @ beta / 2))
        hessian = (rows * (p * (1 - p) + 1e-6)[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(hessian, rows.T @ (p - y) + penalty * beta)
        beta -= step
        if np.abs(step).max() < 1e-3:
            break
    weight = beta[:-1] / deviation
    return weight.astype(np.float32), float(beta[-1] - weight @ mean)
