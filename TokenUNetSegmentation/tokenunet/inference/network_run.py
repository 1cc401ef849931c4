"""One network on one prepared patient: its passes, the rules that follow them, and its maps."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokenunet.bundle.bundle import ModelManifest
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import AttentionMaps, Prediction, ProbeMaps
from tokenunet.core.regions import REGIONS
from tokenunet.inference.core_reach import without_distant_core
from tokenunet.inference.crop import BrainCrop
from tokenunet.inference.evidence import found_evidence, without_weak_regions
from tokenunet.inference.fallback import Strategy
from tokenunet.inference.forward import OnFraction, PassOutput, single_pass, window_pass
from tokenunet.inference.request import InferenceOptions
from tokenunet.inference.second_pass import (
    count_passes,
    marked_ml,
    second_pass_dice,
    with_second_pass,
    without_channels,
)
from tokenunet.networks import architecture
from tokenunet.networks.probe import Probe, ProbeOutput
from tokenunet.networks.tokens import TokenMaps
from tokenunet.preprocessing import Prepared
from tokenunet.runtime.device import Arithmetic, Precision


def run_network(
    prepared: Prepared,
    manifest: ModelManifest,
    network: nn.Module,
    strategy: Strategy,
    precision: Precision,
    options: InferenceOptions,
    on_fraction: OnFraction,
    probe: Probe | None,
) -> Prediction:
    """Run one network, in one pass or two.

    Args:
        prepared: Patient in the model's space.
        manifest: Manifest of the model.
        network: Network of the model.
        strategy: Device and mode.
        precision: Precision of the heavy operations.
        options: Options of the inference.
        on_fraction: Callback that receives the completed fraction, from 0 to 1; may raise to stop.
        probe: Readout of the encoder; None for none.

    Returns:
        Prediction on the prepared grid.
    """
    view = brain_crop(prepared, manifest, strategy)
    arithmetic = Arithmetic.fastest(network, strategy.device, precision)
    network = arithmetic.place(network)

    def run(x: Tensor, with_maps: bool, on_fraction: OnFraction, probe: Probe | None) -> PassOutput:
        if strategy.mode == "single_pass":
            multiple = size_multiple(manifest)
            return single_pass(network, arithmetic.place_input(x), with_maps, on_fraction, multiple, probe)
        return window_pass(
            network,
            x.to(strategy.device),  # in single precision, in which the windows are summed
            with_maps,
            on_fraction,
            arithmetic.place_input,
            manifest.patch_size,
            options.overlap,
            strategy.batch_size,
            probe,
        )

    x = view.cut(prepared.tensor)[None]
    passes = count_passes(prepared, manifest, options)
    with (
        torch.inference_mode(),
        arithmetic.autocast(),
        torch.backends.cudnn.flags(benchmark=False, deterministic=True),
    ):
        logits, maps, read = run(x, options.attention_maps, lambda fraction: on_fraction(fraction / passes), probe)
        # What follows takes little time, and is the same on the CPU for every device.
        first = logits = logits.cpu()
        brain, agreement, second_ml = (x != 0).any(dim=1), None, None
        if passes == 2:
            fewer = without_channels(x, manifest)
            second = run(fewer, False, lambda fraction: on_fraction((1 + fraction) / 2), None).logits.cpu()
            agreement = second_pass_dice(logits, second, manifest)
            second_ml = marked_ml(second, "WT", brain, manifest)
            logits = with_second_pass(logits, second, brain, manifest)
        if manifest.core_reach_mm is not None and not options.fast:
            logits = without_distant_core(logits, brain, manifest)
        is_measured = not options.fast and bool(x.flatten(2).any(dim=2).all())  # fewer channels give less evidence
        evidence = found_evidence(first, logits, brain, manifest) if is_measured else {}
        logits, unmarked_ml = without_weak_regions(logits, evidence, brain, manifest)
        probabilities = view.paste(region_probabilities(logits[0], manifest)).numpy()
    # There is no tumor outside the brain, but the network's output there is arbitrary.
    probabilities *= prepared.brain
    return Prediction(
        probabilities,
        attention=None if maps is None else _attention(maps, view, prepared, manifest),
        probe=None if read is None else _probe_maps(read, view, prepared),
        second_pass_dice=agreement,
        second_pass_ml=second_ml,
        evidence=evidence,
        unmarked_ml=unmarked_ml,
    )


def brain_crop(prepared: Prepared, manifest: ModelManifest, strategy: Strategy) -> BrainCrop:
    """Return the box around the brain that a network receives.

    Args:
        prepared: Patient in the model's space.
        manifest: Manifest of the model.
        strategy: Device and mode; for windows the box has at least their size.
    """
    windows = strategy.mode == "sliding_window"
    smallest = manifest.patch_size if windows else (0, 0, 0)
    return BrainCrop.of_brain(prepared.brain, size_multiple(manifest), smallest)


def size_multiple(manifest: ModelManifest) -> int:
    """Return the number of voxels of which each side of a network's input is a multiple."""
    if manifest.imported is not None:
        return manifest.imported.size_multiple
    return architecture(manifest.architecture).size_multiple


def region_probabilities(logits: Tensor, manifest: ModelManifest) -> Tensor:
    """Convert logits to probabilities of the regions.

    Args:
        logits: Logits (R, D, H, W) of one patient, whose channels the manifest describes.
        manifest: Manifest of the model.

    Returns:
        Probabilities (3, D, H, W) in the order of `REGIONS`.
    """
    if manifest.activation == "softmax":
        _, necrotic, edema, enhancing = logits.softmax(dim=0)
        return torch.stack([necrotic + edema + enhancing, necrotic + enhancing, enhancing])
    return logits.sigmoid()[[manifest.regions.index(region) for region in REGIONS]]


def _attention(maps: TokenMaps, view: BrainCrop, prepared: Prepared, manifest: ModelManifest) -> AttentionMaps:
    learner, fuser = (_array(m) for m in maps)
    return AttentionMaps(learner, fuser, _coarse_grid(learner, view, prepared), manifest.supervised_maps)


def _probe_maps(read: ProbeOutput, view: BrainCrop, prepared: Prepared) -> ProbeMaps:
    shares, fine, distance = (_array(m) for m in read)
    return ProbeMaps(
        shares, distance[0], _coarse_grid(shares, view, prepared), fine[0], _coarse_grid(fine, view, prepared)
    )


def _array(x: Tensor) -> NDArray[np.float32]:
    """Return the only sample of a batch (1, ...) as an array."""
    return x[0].cpu().numpy().astype(np.float32)


def _coarse_grid(maps: NDArray[np.float32], view: BrainCrop, prepared: Prepared) -> Grid:
    """Return the grid of maps (N, d, h, w) that cover the crop."""
    depth, height, width = maps.shape[1:]
    return prepared.grid.coarsened(view.size[0] // depth, view.start[::-1], (width, height, depth))
