"""Forward pass of a network over a volume, in a single pass or by a sliding window, with progress."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tokenunet.inference.cpu_forward import cpu_optimized_forward
from tokenunet.networks import architecture_of
from tokenunet.networks.blocks import ResidualBlock
from tokenunet.networks.probe import Probe, ProbeOutput
from tokenunet.networks.tokens import TokenMaps


class PassOutput(NamedTuple):
    """Output of a pass over a volume, all in single precision.

    Attributes:
        logits: Logits (1, R, D, H, W).
        maps: Attention maps, with A_n scaled to multiples of uniform weights; None if they are not requested.
        probe: Readout of the encoder; None without a probe.
    """

    logits: Tensor
    maps: TokenMaps | None
    probe: ProbeOutput | None


OnFraction = Callable[[float], None]
"""Callback that receives the completed fraction, from 0 to 1; may raise to stop."""


def single_pass(
    network: nn.Module,
    x: Tensor,
    with_maps: bool,
    on_fraction: OnFraction,
    multiple: int,
    probe: Probe | None = None,
) -> PassOutput:
    """Process a whole volume in a single pass.

    The number of tokens does not grow with the volume, so that whole brains fit into memory.

    Args:
        network: Network in evaluation mode, on the device of `x`.
        x: Images (1, C, D, H, W).
        with_maps: Whether to return the attention maps, which the network must have.
        on_fraction: Callback that receives the progress after every layer.
        multiple: Size multiple of the network in voxels.
        probe: Probe of the network's encoder, if it is to be read out.
    """
    with _layer_progress(network, x, on_fraction, multiple):
        return _output(forward_pass(network, x, with_maps, probe), with_maps)


def _output(tensors: Sequence[Tensor], with_maps: bool) -> PassOutput:
    """Name the tensors of `forward_pass`."""
    logits, *others = tensors
    maps = TokenMaps(*others[:2]) if with_maps else None
    read = others[2:] if with_maps else others
    return PassOutput(logits, maps, ProbeOutput(*read) if read else None)


def window_pass(
    network: nn.Module,
    x: Tensor,
    with_maps: bool,
    on_fraction: OnFraction,
    place_input: Callable[[Tensor], Tensor],
    window: Sequence[int],
    overlap: float,
    batch_size: int,
    probe: Probe | None = None,
) -> PassOutput:
    """Process a volume by a sliding window, blended with MONAI's Gaussian weights.

    Every window has its own softmax over space, so that A_n is scaled to multiples of uniform weights before the
    windows are blended with the weights of the logits. B_n and the probe's readout are blended unscaled.

    Args:
        network: Network in evaluation mode.
        x: Images (1, C, D, H, W), at least as large as the window, in the precision in which windows are summed.
        with_maps: Whether to return the attention maps, which the network must have.
        on_fraction: Callback that receives the progress after every batch of windows.
        place_input: Function that moves windows (B, C, D, H, W) to the network's device, type and layout.
        window: Size of the window along z, y and x in voxels.
        overlap: Overlap of neighboring windows, as a fraction of their size.
        batch_size: Number of windows in one forward pass.
        probe: Probe of the network's encoder, if it is to be read out.
    """
    from monai.inferers import sliding_window_inference  # takes seconds to import, and a single pass does not need it

    total = window_count(x.shape[2:], window, overlap)
    done = 0

    def forward(windows: Tensor) -> tuple[Tensor, ...]:
        nonlocal done
        outputs = forward_pass(network, place_input(windows), with_maps, probe)
        done += len(windows)
        on_fraction(done / total)
        return outputs

    stitched: Any = sliding_window_inference(x, window, batch_size, forward, overlap=overlap, mode="gaussian")
    return _output(stitched if isinstance(stitched, tuple) else (stitched,), with_maps)


def forward_pass(network: nn.Module, x: Tensor, with_maps: bool, probe: Probe | None = None) -> tuple[Tensor, ...]:
    """Run the network in the fastest way.

    Args:
        network: Network in evaluation mode.
        x: Images (B, C, D, H, W) on the network's device.
        with_maps: Whether to return the attention maps.
        probe: Probe of the network's encoder, if it is to be read out.

    Returns:
        Logits; if requested, the maps of TokenLearner and TokenFuser; with a probe, the tensors of its `ProbeOutput`;
        all in single precision.
    """
    maps = None
    known = architecture_of(network)
    reading: AbstractContextManager[list[ProbeOutput]] = nullcontext([]) if probe is None else probe.attached(network)
    with reading as read:
        if known is not None and known.cpu_optimized and x.device.type == "cpu":
            logits, maps = cpu_optimized_forward(network, x)  # type: ignore[arg-type]
        elif known is not None and known.has_attention_maps:
            logits, maps = network.forward_with_maps(x)  # type: ignore[operator]
        else:
            logits = network(x)
    tensors = [logits.float()]
    if with_maps:
        assert maps is not None
        voxels = maps.token_learner[0, 0].numel()
        tensors += [maps.token_learner.float() * voxels, maps.token_fuser.float()]
    for output in read:
        tensors += output
    return tuple(tensors)


def window_count(size: Sequence[int], window: Sequence[int], overlap: float) -> int:
    """Return the number of sliding windows in a volume.

    Args:
        size: Size of the volume along z, y and x in voxels.
        window: Size of the window along z, y and x in voxels.
        overlap: Overlap of neighboring windows, as a fraction of their size.
    """
    total = 1
    for side, width in zip(size, window, strict=True):
        step = max(int(width * (1 - overlap)), 1) if side > width else width
        total *= -(-(side - width) // step) + 1
    return total


@contextmanager
def _layer_progress(network: nn.Module, x: Tensor, on_fraction: OnFraction, multiple: int) -> Iterator[None]:
    """Report progress after every layer, in proportion to the number of voxels computed, as a pass takes time."""
    sizes: list[int] = []
    hooks = _hook_layers(network, lambda output: sizes.append(output.numel()))
    forward_pass(network, small_input(x, multiple), with_maps=False)
    for hook in hooks:
        hook.remove()
    fractions = iter([done / sum(sizes) for done in accumulate(sizes)])
    hooks = _hook_layers(network, lambda output: on_fraction(next(fractions)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def small_input(x: Tensor, multiple: int) -> Tensor:
    """Return small zeros (1, C, D, H, W) like ``x``, over which a pass takes hardly any time.

    Args:
        x: Input (1, C, D, H, W) with the type, device and layout to use.
        multiple: Size multiple of the network in voxels; the sides are twice that, so that instance normalization has
            more than one voxel at the bottleneck.
    """
    side = 2 * multiple
    return x.new_zeros(1, x.shape[1], side, side, side)


def _hook_layers(network: nn.Module, on_output: Callable[[Tensor], None]) -> list[torch.utils.hooks.RemovableHandle]:
    layers: list[nn.Module] = [block.conv for block in network.modules() if isinstance(block, ResidualBlock)]
    if not layers:
        layers = [module for module in network.modules() if not list(module.children())]
    return [layer.register_forward_hook(lambda module, args, output: on_output(output)) for layer in layers]
