"""Prediction of region probabilities and attention maps of a prepared patient."""

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.errors import ModelError, OutOfMemoryError, UsageError
from tokenunet.core.findings import Finding
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.inference.fallback import Strategy, fallback_chain
from tokenunet.inference.forward import OnFraction, forward_pass, small_input
from tokenunet.inference.network_run import brain_crop, run_network, size_multiple
from tokenunet.inference.request import InferenceOptions, Mode
from tokenunet.inference.second_pass import count_passes
from tokenunet.networks import architecture
from tokenunet.networks.blocks import trainable_parameters
from tokenunet.preprocessing import Prepared
from tokenunet.runtime.device import (
    Arithmetic,
    Precision,
    fastest_precision,
    is_out_of_memory,
    is_unsupported_on_mps,
    resolve_device,
)
from tokenunet.runtime.memory import free_bytes, predicted_peak_bytes


@dataclass(frozen=True)
class Execution:
    """Actual device, mode and precision of a prediction, for the run report.

    Attributes:
        device: Device, such as `cpu` or `cuda:0`.
        device_name: Product name of the GPU; otherwise the type of the device.
        mode: `single_pass` or `sliding_window`.
        precision: Precision of the heavy operations.
        fallbacks: Message of each fallback because of lack of memory.
        needed_bytes: Memory that the network was estimated to need on its device.
        free_bytes: Free memory of the device at that time.
        passes: Number of passes through each network.
    """

    device: str
    device_name: str
    mode: Mode
    precision: Precision
    fallbacks: tuple[str, ...]
    needed_bytes: int
    free_bytes: int
    passes: int = 1


def predict(
    prepared: Prepared,
    bundle: ModelBundle,
    options: InferenceOptions,
    on_fraction: OnFraction = lambda fraction: None,
    on_fallback: Callable[[Finding], None] = lambda finding: None,
) -> tuple[Prediction, Execution]:
    """Segment one prepared patient.

    The members of an ensemble run one after the other, and their probabilities are averaged; attention maps are those
    of the first member. The same inputs, options and machine give bit-identical results.

    Args:
        prepared: Patient in the bundle's space.
        bundle: Model.
        options: Options of the inference.
        on_fraction: Callback that receives the completed fraction, from 0 to 1; may raise to stop.
        on_fallback: Callback that receives a warning about lack of memory, or of an operation on Apple's GPU, and the
            next fallback.

    Returns:
        Prediction on the prepared grid, and how it was computed.

    Raises:
        DeviceError: If the requested device does not exist.
        OutOfMemoryError: If even single windows on the CPU do not fit into memory.
        ModelError: If the bundle cannot be built, or has no attention maps, but they are requested.
        UsageError: If the overlap is not from 0 to below 1.
    """
    if not 0 <= options.overlap < 1:
        raise UsageError(f"The overlap of windows must be from 0 to below 1, not {options.overlap}.")
    if options.attention_maps and not architecture(bundle.manifest.architecture).has_attention_maps:
        raise ModelError(
            f"{bundle.manifest.name} has no attention maps.", "Leave out --attention-maps or choose a Token-UNet."
        )
    fallbacks: list[str] = []
    imported = bundle.manifest.imported
    left = fallback_chain(resolve_device(options.device), "sliding_window" if imported else options.mode)
    while left:
        strategy, *left = left
        precision = _precision(strategy, options, imported is not None)
        needed, free = needed_bytes(prepared, bundle, strategy, precision), free_bytes(strategy.device)
        prediction, code, reason = None, "out_of_memory", _lack_of_memory(strategy, needed, free)
        if needed <= free or not left:
            try:
                if imported:
                    from tokenunet.inference.imported import predict_imported  # SciPy takes a tenth of a second

                    prediction = predict_imported(prepared, bundle, strategy, precision, on_fraction)
                else:
                    prediction = _run_members(prepared, bundle, strategy, precision, options, on_fraction)
            except Exception as error:
                if strategy.device.type == "mps" and is_unsupported_on_mps(error):
                    code, reason = "unsupported_operation", f"Apple's GPU cannot run this network ({error})"
                    left = [following for following in left if following.device.type == "cpu"]
                elif not is_out_of_memory(error):
                    raise
                elif not left:
                    raise OutOfMemoryError(f"{reason}.", "Close other programs, or use a larger computer.") from error
        if prediction is not None:
            is_cuda = strategy.device.type == "cuda"
            execution = Execution(
                str(strategy.device),
                torch.cuda.get_device_name(strategy.device) if is_cuda else strategy.device.type,
                strategy.mode,
                precision,
                tuple(fallbacks),
                needed_bytes=needed,
                free_bytes=free,
                passes=count_passes(prepared, bundle.manifest, options),
            )
            return prediction, execution
        fallbacks.append(f"{reason}. Trying {left[0]}.")
        on_fallback(Finding(code, fallbacks[-1]))
        # Outside the except block, the traceback no longer references the memory of the failed pass.
        gc.collect()
        torch.cuda.empty_cache()
    raise AssertionError("the fallback chain has at least one strategy")


def _lack_of_memory(strategy: Strategy, needed: int, free: int) -> str:
    return (
        f"There is not enough memory for {strategy}: "
        f"about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
    )


def _precision(strategy: Strategy, options: InferenceOptions, imported: bool) -> Precision:
    """Return the precision; imported models run on a CPU as their own frameworks run them there."""
    if options.precision != "auto":
        return options.precision
    return "fp32" if imported and strategy.device.type == "cpu" else fastest_precision(strategy.device)


def needed_bytes(prepared: Prepared, bundle: ModelBundle, strategy: Strategy, precision: Precision) -> int:
    """Estimate the memory that the network needs on its device, including inputs and outputs.

    Args:
        prepared: Patient in the bundle's space.
        bundle: Model.
        strategy: Device and mode.
        precision: Precision of the heavy operations.

    Returns:
        Estimated memory in bytes.
    """
    network = bundle.build()
    dtype = Arithmetic.fastest(network, strategy.device, precision).dtype
    view = brain_crop(prepared, bundle.manifest, strategy)
    size: tuple[int, ...] = view.size
    if bundle.manifest.imported:
        from tokenunet.inference.imported import network_size  # SciPy takes a tenth of a second

        size = network_size(prepared, bundle.manifest)
    channels, outputs, voxels = len(bundle.manifest.channels), bundle.manifest.outputs, math.prod(size)
    volumes = 4 * voxels * (channels + 2 * outputs)  # the input, and the outputs twice in single precision
    at_once = voxels
    if strategy.mode == "sliding_window":
        volumes += 4 * voxels * (outputs + 1)  # MONAI sums windows and their weights
        at_once = strategy.batch_size * math.prod(bundle.manifest.patch_size)
    small = small_input(torch.empty(1, channels, 0, 0, 0), size_multiple(bundle.manifest))
    features = predicted_peak_bytes(lambda x: forward_pass(network, x, with_maps=False), small, at_once)
    in_single_precision = features + 4 * trainable_parameters(network)
    return volumes + in_single_precision * dtype.itemsize // 4


def _run_members(
    prepared: Prepared,
    bundle: ModelBundle,
    strategy: Strategy,
    precision: Precision,
    options: InferenceOptions,
    on_fraction: OnFraction,
) -> Prediction:
    """Run one ensemble member after the other, so that only one at a time needs memory."""
    count = bundle.manifest.members
    if count == 1:
        return run_network(
            prepared, bundle.manifest, bundle.build(), strategy, precision, options, on_fraction, bundle.probe
        )
    members = np.empty((count, len(REGIONS), *prepared.brain.shape), np.float32)
    first = None
    for member in range(count):
        prediction = run_network(
            prepared,
            bundle.manifest,
            bundle.build(member),
            strategy,
            precision,
            replace(options, attention_maps=options.attention_maps and member == 0),
            partial(_report_member, on_fraction, member, count),
            bundle.probe if member == 0 else None,
        )
        members[member] = prediction.probabilities
        first = first or prediction
    assert first is not None
    return replace(first, probabilities=members.mean(axis=0), members=members)


def _report_member(on_fraction: OnFraction, member: int, members: int, fraction: float) -> None:
    on_fraction((member + fraction) / members)
