"""Tie one TokenLearner map to each region, as the last stage of a training that leaves the segmentation as it is.

    python -m tools.supervise_maps --model trained --output supervised --prepared patients --patients 150

By itself, the softmax of a map leaves its weight on few voxels. Here encoder and decoder are frozen, and TokenLearner,
token mixer and TokenFuser are fitted to two aims at once: the first three maps are spread evenly over WT, TC and ET,
and the features that reach the decoder stay those of the given weights. The other maps are free. The bundle in
``--output`` has no review until `tools.fit_review` has fitted one to its weights.
"""

import argparse
import copy
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tokenunet.bundle.bundle import ModelBundle, load_bundle, save_bundle
from tokenunet.core.errors import ModelError
from tokenunet.core.regions import REGIONS
from tokenunet.inference.crop import BrainCrop
from tokenunet.networks import architecture
from tokenunet.networks.token_unet import TokenUNet
from tokenunet.runtime.device import Arithmetic, fastest_precision
from torch import Tensor, nn
from torch.nn import functional as F

from tools.review_patients import Sample, samples

FIRST_SEED = 13 * 10**9
"""Far from all other seeds."""
_BATCH = 2
"""Number of patients in a step."""
_DICE = 4.0
"""Weight of the soft Dice, relative to that of the divergence from an even spread."""
_TINY = 1e-9


@dataclass(frozen=True)
class FrozenPatient:
    """What the token stage reads of a patient, and what it should make of it.

    Attributes:
        features: Features (1, F, d, h, w) of the bottleneck, for each set of channels that may be missing.
        shares: Share of each voxel that is in each region, (3, d, h, w).
        brain: Whether a voxel touches the brain, (d, h, w).
    """

    features: tuple[Tensor, ...]
    shares: Tensor
    brain: Tensor


def frozen_patients(bundle: ModelBundle, patients: Iterable[Sample]) -> Iterator[FrozenPatient]:
    """Encode patients with all channels, without those that the second pass leaves out, and without one allowed set.

    Args:
        bundle: Model.
        patients: Prepared patients.
    """
    manifest, device = bundle.manifest, torch.device("cpu")
    network = bundle.build()
    arithmetic = Arithmetic.fastest(network, device, fastest_precision(device))
    arithmetic.place(network)
    multiple = architecture(manifest.architecture).size_multiple
    names = [channel.name for channel in manifest.channels]
    allowed = [optional.channels for optional in manifest.optional_channels] or [()]
    for number, sample in enumerate(patients):
        view = BrainCrop.of_brain(sample.prepared.brain, multiple)
        features = []
        for missing in dict.fromkeys([(), manifest.second_pass_without, allowed[number % len(allowed)]]):
            x = view.cut(sample.prepared.tensor)[None].clone()
            x[:, [names.index(name) for name in missing]] = 0
            with torch.inference_mode(), arithmetic.autocast():
                features.append(network.encode(arithmetic.place_input(x))[0].half())  # type: ignore[operator]
        masks = np.concatenate([sample.regions, sample.prepared.brain[None]]).astype(np.float32)
        shares = F.avg_pool3d(view.cut(torch.from_numpy(masks)), multiple)
        yield FrozenPatient(tuple(f.clone() for f in features), shares[:3], shares[3] > 0)


def supervise(
    network: TokenUNet, patients: Sequence[FrozenPatient], steps: int, weight: float, learning_rate: float = 1e-3
) -> None:
    """Fit TokenLearner, token mixer and TokenFuser in place.

    Args:
        network: Trained network.
        patients: Frozen patients.
        steps: Number of steps.
        weight: Weight of the maps' loss; that of the change of the fused features is 1.
        learning_rate: Peak learning rate.
    """
    before = copy.deepcopy(network)
    parameters = [p for part in (network.learner, network.mixer, network.fuser) for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    generator = np.random.default_rng(0)
    for step in range(steps):
        losses = []
        for chosen in generator.integers(len(patients), size=_BATCH):
            patient = patients[chosen]
            features = patient.features[generator.integers(len(patient.features))].float()
            with torch.no_grad():
                wanted = before.attend(features)[0]
            fused, maps = network.attend(features)
            change, loss = relative_change(fused, wanted, patient.brain), map_loss(maps.token_learner[0], patient)
            losses.append((change.item(), loss.item()))
            ((change + weight * loss) / _BATCH).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if (step + 1) % 50 == 0:
            change, loss = np.mean(losses, axis=0)
            print(f"step {step + 1}/{steps}: change {change:.4f}, maps {loss:.3f}", file=sys.stderr, flush=True)


def relative_change(fused: Tensor, wanted: Tensor, brain: Tensor) -> Tensor:
    """Return the mean squared change of features (1, F, d, h, w) in the brain, in units of each feature's variance."""
    inside = wanted[..., brain]
    variance = inside.var(dim=-1, unbiased=False)
    change = (fused[..., brain] - inside).square().mean(dim=-1)
    return (change / (variance + 1e-3 * variance.mean())).mean()


def map_loss(maps: Tensor, patient: FrozenPatient) -> Tensor:
    """Return how far the first maps are from the regions that the patient has.

    It is the divergence of a map from an even spread over its region, plus `_DICE` times one minus the soft Dice of the
    map, scaled from its minimum to its maximum.

    Args:
        maps: Attention maps A_n (N, d, h, w).
        patient: Patient of these maps.
    """
    loss = maps.new_zeros(())
    for values, shares in zip(maps.flatten(1), patient.shares.flatten(1), strict=False):
        if shares.max() < 0.5:
            continue
        target = shares / shares.sum()
        scaled = (values - values.min()) / (values.max() - values.min() + _TINY)
        loss = loss + (target * ((target + _TINY) / (values + _TINY)).log()).sum()
        loss = loss + _DICE * (1 - 2 * (scaled * shares).sum() / (scaled.sum() + shares.sum()))
    return loss


def main() -> None:
    """Supervise the maps of a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained bundle")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--prepared", type=Path, metavar="DIR", help="folder of prepared patients")
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--weight", type=float, default=0.1, help="weight of the maps' loss (default: %(default)s)")
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    network = bundle.build()
    if not isinstance(network, TokenUNet) or network.fuser.mix.in_features < len(REGIONS):
        raise ModelError(f"{bundle.manifest.name} has no map for each region.", "Choose a Token-UNet.")
    first = 0 if options.prepared else FIRST_SEED
    patients = []
    made = samples(bundle.manifest.space, options.prepared, first, options.patients, 0.0)
    for number, patient in enumerate(frozen_patients(bundle, made), start=1):
        patients.append(patient)
        print(f"patient {number}/{options.patients}", file=sys.stderr, flush=True)
    supervise(network, patients, options.steps, options.weight)
    training = {**bundle.manifest.training, "supervised_maps": list(REGIONS)}
    save_bundle(options.output, replace(bundle.manifest, training=training, review=None), [network])


if __name__ == "__main__":
    main()
