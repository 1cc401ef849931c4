"""Benchmark of forward passes and training steps of the project's networks and of the baselines.

The project's networks run as in `predict` and the training engine; the baselines in single precision as published, and
again under autocast. All forward passes keep freed memory, which makes the baselines up to twice as fast; their
training steps do not, since SwinUNETR's would then take 19 GB.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tokenunet.core.errors import UsageError
from tokenunet.inference.forward import forward_pass
from tokenunet.networks import architecture_of, architectures, build_network
from tokenunet.networks.blocks import ResidualBlock, trainable_parameters
from tokenunet.runtime.allocator import reuse_freed_memory
from tokenunet.runtime.device import Arithmetic, Precision, fastest_layout, fastest_precision
from tokenunet.training.config.configuration import configuration_of
from tokenunet.training.loop.loss import RegionLoss
from tokenunet.training.loop.optimization import build_optimizer

PLAIN_CONV_UNET = "nnunet_plain_conv_unet"
SIXTEEN_TOKENS = "token_unet_transformer_16_tokens"
_SMALL_SIDE = 64
"""Side of a cube that every network accepts, in voxels; operations grow with the number of voxels."""


def network_names() -> tuple[str, ...]:
    """Return the names of all networks that can be measured."""
    return (*architectures(), SIXTEEN_TOKENS, PLAIN_CONV_UNET)


def make_network(name: str) -> nn.Module:
    """Build a network with random weights, the same at every call.

    Raises:
        UsageError: If the name is unknown.
        ModuleNotFoundError: If the package of a baseline is not installed.
    """
    torch.manual_seed(0)
    if name == PLAIN_CONV_UNET:
        return _plain_conv_unet()
    if name == SIXTEEN_TOKENS:
        return build_network("token_unet_transformer", tokens=16)
    if name not in architectures():
        raise UsageError(f"There is no network {name!r} to measure.", f"Choose from {', '.join(network_names())}.")
    return build_network(name)


def _plain_conv_unet() -> nn.Module:
    """Build the network that nnU-Net plans for BraTS: six stages of two convolutions, 31.2 M parameters."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(
        **{
            "input_channels": 4,
            "n_stages": 6,
            "features_per_stage": (32, 64, 128, 256, 320, 320),
            "conv_op": nn.Conv3d,
            "kernel_sizes": 3,
            "strides": (1, 2, 2, 2, 2, 2),
            "n_conv_per_stage": 2,
            "num_classes": 3,
            "n_conv_per_stage_decoder": 2,
            "conv_bias": True,
            "norm_op": nn.InstanceNorm3d,
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": nn.LeakyReLU,
            "nonlin_kwargs": {"inplace": True},
        }
    )


def precisions(device: torch.device) -> tuple[Precision, ...]:
    """Return the precisions to measure on a device, the fastest last."""
    fastest = fastest_precision(device)
    return ("fp32",) if fastest == "fp32" else ("fp32", fastest)


def window_pass(name: str, size: int, precision: Precision, device: torch.device) -> Callable[[], object]:
    """Return a forward pass over a cube, as in inference.

    Args:
        name: Name of the network.
        size: Side of the cube in voxels.
        precision: Precision of the heavy operations.
        device: Device to run on.
    """
    reuse_freed_memory()
    network = make_network(name).eval()
    arithmetic = Arithmetic.fastest(network, device, precision)
    network, x = arithmetic.place(network), arithmetic.place_input(_cube(size))

    def run() -> None:
        with torch.inference_mode(), arithmetic.autocast():
            forward_pass(network, x, with_maps=False)
            _wait_for(device)

    return run


def training_step(name: str, size: int, precision: Precision, device: torch.device) -> Callable[[], object]:
    """Return a training step on one cube, with the paper's settings.

    Args:
        name: Name of the network.
        size: Side of the cube in voxels.
        precision: Precision of the heavy operations, by autocast.
        device: Device to run on.
    """
    network = make_network(name).train()
    known = architecture_of(network)
    if known is not None and known.cpu_optimized:
        reuse_freed_memory()
    layout = fastest_layout(network)
    network.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    x = _cube(size).to(device, memory_format=layout)
    configuration = configuration_of(name if name in architectures() else "unet", "paper")
    optimizer = build_optimizer(configuration, network)
    regions = (torch.rand(1, 3, size, size, size, device=device) > 0.9).to(torch.uint8)
    loss = RegionLoss(configuration.dice_smoothing, configuration.absent_smoothing)

    def run() -> None:
        dtype = torch.float16 if precision == "fp16" else torch.bfloat16
        with torch.autocast(device.type, dtype, enabled=precision != "fp32"):
            logits = network(x)
        loss(logits, regions).backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait_for(device)

    return run


def _cube(size: int) -> Tensor:
    return torch.randn(1, 4, size, size, size)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def facts(name: str, size: int, training: bool) -> tuple[int, int]:
    """Count trainable parameters, and floating-point operations of a pass or training step over a cube.

    Operations are counted for a small cube and scaled, since they grow in proportion to the number of voxels.
    """
    parameters, flops = _small_facts(name, training)
    return parameters, round(flops * (size / _SMALL_SIDE) ** 3)


@functools.cache
def _small_facts(name: str, training: bool) -> tuple[int, int]:
    """Count parameters and operations for a small cube.

    Pooling and projection in one convolution, as in `ResidualBlock`, count as the projection of the pooled features.
    """
    network = make_network(name)
    x = _cube(_SMALL_SIDE)
    with FlopCounterMode(display=False) as counter:
        output = network(x)
        if training:
            output.sum().backward()
    flops = counter.get_total_flops()
    return trainable_parameters(network), flops - _pooling_flops(network)


def _pooling_flops(network: nn.Module) -> int:
    """Count the operations of seven of the eight taps of the strided projections in a small cube."""
    flops = 0
    blocks = [m for m in network.modules() if isinstance(m, ResidualBlock) and m.resolution == "down"]
    for level, block in enumerate(blocks, start=1):
        assert isinstance(block.project, nn.Conv3d)
        flops += 2 * 7 * block.project.weight.numel() * (_SMALL_SIDE >> level) ** 3
    return flops
