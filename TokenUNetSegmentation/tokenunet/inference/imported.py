"""Prediction with imported models, as the frameworks that trained them predict."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tokenunet.bundle.bundle import ModelBundle, ModelManifest
from tokenunet.bundle.imported import Imported
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.inference.fallback import Strategy
from tokenunet.inference.forward import OnFraction, window_count
from tokenunet.inference.nnunet import logits_of, prepare_nnunet, probabilities_of
from tokenunet.preprocessing import Prepared
from tokenunet.runtime.device import Arithmetic, Precision


def predict_imported(
    prepared: Prepared, bundle: ModelBundle, strategy: Strategy, precision: Precision, on_fraction: OnFraction
) -> Prediction:
    """Predict one patient with an imported model.

    Args:
        prepared: Patient, whose scans are not normalized.
        bundle: Imported model.
        strategy: Device, and number of windows at a time.
        precision: Precision of the heavy operations.
        on_fraction: Receives the progress, 0 to 1; may raise to stop.
    """
    manifest = bundle.manifest
    assert manifest.imported is not None
    run = _nnunet_outputs if manifest.imported.nnunet else _monai_outputs
    mean, *members = (
        region_sums(outputs, manifest.imported) for outputs in run(prepared, bundle, strategy, precision, on_fraction)
    )
    return Prediction(mean, None, np.stack(members) if members else None)


def network_size(prepared: Prepared, manifest: ModelManifest) -> tuple[int, ...]:
    """Return the size of the volume in which an imported model's windows are, in voxels."""
    size = prepared.brain.shape
    imported = manifest.imported
    if imported is not None and (imported.nnunet or (imported.monai and imported.monai.spacing)):
        ratios = [have / want for have, want in zip(prepared.grid.spacing, manifest.spacing, strict=True)]
        size = tuple(round(n * ratio) for n, ratio in zip(size, reversed(ratios), strict=True))
    return tuple(max(n, max(manifest.patch_size)) for n in size)


def region_sums(outputs: Tensor, imported: Imported) -> np.ndarray:
    """Return probabilities (3, z, y, x) of WT, TC and ET from those of a network's outputs."""
    return torch.stack([outputs[list(imported.region_outputs[region])].sum(dim=0) for region in REGIONS]).numpy()


def _nnunet_outputs(
    prepared: Prepared, bundle: ModelBundle, strategy: Strategy, precision: Precision, on_fraction: OnFraction
) -> Iterator[Tensor]:
    """Yield the outputs' probabilities of the folds' mean logits; then, if there are several folds, those of each."""
    manifest = bundle.manifest
    assert manifest.imported is not None and manifest.imported.nnunet is not None
    plan, count = manifest.imported.nnunet, manifest.members
    x, y, z = prepared.grid.spacing
    given = prepare_nnunet(prepared.tensor.numpy(), (z, y, x), plan, manifest.imported.normalizations)
    folds = []
    for member in range(count):
        network, arithmetic = _placed(bundle, member, strategy, precision)
        with torch.inference_mode(), arithmetic.autocast():
            folds.append(
                logits_of(
                    network,
                    given.tensor,
                    manifest.patch_size,
                    plan.mirror_axes if plan.mirroring else (),
                    lambda fraction, done=member: on_fraction((done + fraction) / count),  # type: ignore[misc]
                    arithmetic.place_input,
                )
            )
    mean = folds[0].clone()
    for logits in folds[1:]:
        mean += logits
    for logits in (mean / count, *(folds if count > 1 else ())):
        yield probabilities_of(logits, given, plan, manifest.activation)


def _monai_outputs(
    prepared: Prepared, bundle: ModelBundle, strategy: Strategy, precision: Precision, on_fraction: OnFraction
) -> Iterator[Tensor]:
    """Yield the probabilities of the outputs."""
    from monai.data import MetaTensor  # seconds to import
    from monai.transforms import NormalizeIntensity, Spacing

    manifest = bundle.manifest
    assert manifest.imported is not None and manifest.imported.monai is not None
    scans = prepared.tensor.permute(0, 3, 2, 1).contiguous()  # MONAI's arrays begin with x
    resampling = None
    if manifest.imported.monai.spacing is not None:
        resampling = Spacing(manifest.imported.monai.spacing)
        resampled = resampling(MetaTensor(scans, affine=np.diag([*prepared.grid.spacing, 1.0])))
        operations, scans = resampled.applied_operations, resampled.as_tensor()
    normalization = manifest.imported.normalizations[0]
    if normalization != "none":
        normalize = NormalizeIntensity(nonzero=normalization == "nonzero_zscore", channel_wise=True)
        scans = torch.as_tensor(normalize(scans.clone())).as_subclass(Tensor)
    network, arithmetic = _placed(bundle, 0, strategy, precision)
    with torch.inference_mode(), arithmetic.autocast():
        logits = monai_logits(network, scans, manifest, strategy.batch_size, arithmetic, on_fraction).float().cpu()
    outputs = logits.softmax(dim=0) if manifest.activation == "softmax" else logits.sigmoid()
    if resampling is not None:
        resampled = MetaTensor(outputs, affine=resampled.affine, applied_operations=operations)
        outputs = resampling.inverse(resampled).as_tensor().clamp(0, 1)
    yield outputs.permute(0, 3, 2, 1)


def monai_logits(
    network: nn.Module,
    scans: Tensor,
    manifest: ModelManifest,
    batch_size: int,
    arithmetic: Arithmetic,
    on_fraction: OnFraction,
) -> Tensor:
    """Return logits (R, x, y, z) of normalized scans (C, x, y, z) by MONAI's sliding window."""
    from monai.inferers import sliding_window_inference  # seconds to import

    assert manifest.imported is not None and manifest.imported.monai is not None
    how, done = manifest.imported.monai, 0
    total = window_count(
        [max(n, w) for n, w in zip(scans.shape[1:], manifest.patch_size, strict=True)], manifest.patch_size, how.overlap
    )

    def forward(windows: Tensor) -> Tensor:
        nonlocal done
        logits = network(arithmetic.place_input(windows)).float()
        done += len(windows)
        on_fraction(min(done / total, 1))
        return logits

    x = scans[None].to(arithmetic.device)
    return sliding_window_inference(
        x, manifest.patch_size, batch_size, forward, overlap=how.overlap, mode=how.blending
    )[0]


def _placed(bundle: ModelBundle, member: int, strategy: Strategy, precision: Precision) -> tuple[nn.Module, Arithmetic]:
    network = bundle.build(member)
    arithmetic = Arithmetic.fastest(network, strategy.device, precision)
    return arithmetic.place(network), arithmetic
