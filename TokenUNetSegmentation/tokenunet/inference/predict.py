"""From a prepared patient to region probabilities and attention maps."""

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from tokenunet.bundle.bundle import ModelBundle, ModelManifest
from tokenunet.core.errors import ModelError, OutOfMemoryError, UsageError
from tokenunet.core.prediction import AttentionMaps, Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.inference.crop import FieldOfView
from tokenunet.inference.fallback import Attempt, attempts
from tokenunet.inference.forward import OnFraction, forward_pass, single_pass, small_input, window_pass
from tokenunet.inference.imported import network_size, predict_imported
from tokenunet.inference.request import InferenceOptions, Mode
from tokenunet.inference.second_pass import count_passes, with_second_pass, without_channels
from tokenunet.networks import architecture
from tokenunet.networks.blocks import trainable_parameters
from tokenunet.networks.tokens import TokenMaps
from tokenunet.preprocessing import Prepared
from tokenunet.runtime.device import Arithmetic, Precision, fastest_precision, is_out_of_memory, resolve_device
from tokenunet.runtime.memory import free_bytes, predicted_peak_bytes


@dataclass(frozen=True)
class Execution:
    """How a prediction was in fact computed, for the run report.

    Attributes:
        passes: Number of passes through each network.
        needed_bytes: what the network was expected to hold on its device, predicted before it ran.
        free_bytes: what the device had left then.
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
    on_fallback: Callable[[str], None] = lambda message: None,
) -> tuple[Prediction, Execution]:
    """Segments one prepared patient.

    The networks of an ensemble run one after the other, and their probabilities are averaged; attention maps are those
    of the first one. The same inputs, options and machine give the same result to the last bit.

    Args:
        prepared: the patient in the bundle's space.
        bundle: the model.
        options: how to run it.
        on_fraction: is told the progress, 0 to 1; may raise to stop.
        on_fallback: is told, in a sentence, when memory ran out and what is tried next.

    Raises:
        DeviceError: where the asked-for device does not exist.
        OutOfMemoryError: where even single windows on the CPU do not fit.
        ModelError: where the bundle cannot be built, or attention maps are asked for that its network does not have.
        UsageError: where the overlap is not from 0 to below 1.
    """
    if not 0 <= options.overlap < 1:
        raise UsageError(f"The overlap of windows must be from 0 to below 1, not {options.overlap}.")
    if options.attention_maps and not architecture(bundle.manifest.architecture).has_attention_maps:
        raise ModelError(
            f"{bundle.manifest.name} has no attention maps.", "Leave out --attention-maps or choose a Token-UNet."
        )
    fallbacks: list[str] = []
    imported = bundle.manifest.imported
    ladder = attempts(resolve_device(options.device), "sliding_window" if imported else options.mode)
    for attempt, following in zip(ladder, [*ladder[1:], None], strict=True):
        precision = _precision(attempt, options, imported is not None)
        needed, free = needed_bytes(prepared, bundle, attempt, precision), free_bytes(attempt.device)
        try:
            if needed > free and following is not None:
                raise MemoryError
            if imported:
                prediction = predict_imported(prepared, bundle, attempt, precision, on_fraction)
            else:
                prediction = _run_members(prepared, bundle, attempt, precision, options, on_fraction)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            lack = (
                f"There is not enough memory for {attempt}: "
                f"about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
            )
            if following is None:
                raise OutOfMemoryError(f"{lack}.", "Close other programs, or use a larger computer.") from error
            fallbacks.append(f"{lack}. Trying {following}.")
        else:
            name = torch.cuda.get_device_name(attempt.device) if attempt.device.type == "cuda" else attempt.device.type
            execution = Execution(
                str(attempt.device),
                name,
                attempt.mode,
                precision,
                tuple(fallbacks),
                needed_bytes=needed,
                free_bytes=free,
                passes=count_passes(prepared, bundle.manifest, options),
            )
            return prediction, execution
        on_fallback(fallbacks[-1])
        # Only here, outside the except block, is the failed attempt's memory no longer referenced by its traceback.
        gc.collect()
        torch.cuda.empty_cache()
    raise AssertionError("the ladder has at least one rung")


def _precision(attempt: Attempt, options: InferenceOptions, imported: bool) -> Precision:
    """Return the precision; imported models run on a CPU as their own frameworks run them there."""
    if options.precision != "auto":
        return options.precision
    return "fp32" if imported and attempt.device.type == "cpu" else fastest_precision(attempt.device)


def needed_bytes(prepared: Prepared, bundle: ModelBundle, attempt: Attempt, precision: Precision) -> int:
    """Memory that the network will hold on the attempt's device, with what goes in and what comes out."""
    network = bundle.build()
    dtype = Arithmetic.fastest(network, attempt.device, precision).dtype
    view = _field_of_view(prepared, bundle.manifest, attempt)
    size = network_size(prepared, bundle.manifest) if bundle.manifest.imported else view.size
    channels, outputs, voxels = len(bundle.manifest.channels), bundle.manifest.outputs, math.prod(size)
    volumes = 4 * voxels * (channels + 2 * outputs)  # the input, and the outputs once more in single precision
    at_once = voxels
    if attempt.mode == "sliding_window":
        volumes += 4 * voxels * (outputs + 1)  # MONAI adds up windows and their weights
        at_once = attempt.batch_size * math.prod(bundle.manifest.patch_size)
    small = small_input(torch.empty(1, channels, 0, 0, 0), _size_multiple(bundle.manifest))
    features = predicted_peak_bytes(lambda x: forward_pass(network, x, with_maps=False), small, at_once)
    in_single_precision = features + 4 * trainable_parameters(network)
    return volumes + in_single_precision * dtype.itemsize // 4


def _run_members(
    prepared: Prepared,
    bundle: ModelBundle,
    attempt: Attempt,
    precision: Precision,
    options: InferenceOptions,
    on_fraction: OnFraction,
) -> Prediction:
    """One network after the other, so that never more than one takes memory."""
    count = bundle.manifest.members
    if count == 1:
        return _run(prepared, bundle.manifest, bundle.build(), attempt, precision, options, on_fraction)
    members = np.empty((count, len(REGIONS), *prepared.brain.shape), np.float32)
    maps = None
    for member in range(count):
        prediction = _run(
            prepared,
            bundle.manifest,
            bundle.build(member),
            attempt,
            precision,
            replace(options, attention_maps=options.attention_maps and member == 0),
            lambda fraction, done=member: on_fraction((done + fraction) / count),  # type: ignore[misc]
        )
        members[member] = prediction.probabilities
        maps = maps or prediction.attention
    return Prediction(members.mean(axis=0), maps, members)


def _run(
    prepared: Prepared,
    manifest: ModelManifest,
    network: nn.Module,
    attempt: Attempt,
    precision: Precision,
    options: InferenceOptions,
    on_fraction: OnFraction,
) -> Prediction:
    view = _field_of_view(prepared, manifest, attempt)
    arithmetic = Arithmetic.fastest(network, attempt.device, precision)
    network = arithmetic.place(network)

    def run(x: Tensor, with_maps: bool, on_fraction: OnFraction) -> tuple[Tensor, TokenMaps | None]:
        if attempt.mode == "single_pass":
            return single_pass(network, arithmetic.place_input(x), with_maps, on_fraction, _size_multiple(manifest))
        return window_pass(
            network,
            x.to(attempt.device),  # in single precision, in which the windows are added up
            with_maps,
            on_fraction,
            arithmetic.place_input,
            manifest.patch_size,
            options.overlap,
            attempt.batch_size,
        )

    x = view.cut(prepared.tensor)[None]
    passes = count_passes(prepared, manifest, options)
    with (
        torch.inference_mode(),
        arithmetic.autocast(),
        torch.backends.cudnn.flags(benchmark=False, deterministic=True),
    ):
        logits, maps = run(x, options.attention_maps, lambda fraction: on_fraction(fraction / passes))
        if passes == 2:
            second, _ = run(without_channels(x, manifest), False, lambda fraction: on_fraction((1 + fraction) / 2))
            logits = with_second_pass(logits, second, manifest)
        probabilities = view.paste(region_probabilities(logits[0], manifest)).cpu().numpy()
    # Outside the brain there is no tumor, whatever the network makes of the empty surroundings.
    probabilities *= prepared.brain
    return Prediction(probabilities, None if maps is None else _with_grid(maps, view, prepared))


def _field_of_view(prepared: Prepared, manifest: ModelManifest, attempt: Attempt) -> FieldOfView:
    windows = attempt.mode == "sliding_window"
    smallest = manifest.patch_size if windows else (0, 0, 0)
    return FieldOfView.of_brain(prepared.brain, _size_multiple(manifest), smallest)


def _size_multiple(manifest: ModelManifest) -> int:
    if manifest.imported is not None:
        return manifest.imported.size_multiple
    return architecture(manifest.architecture).size_multiple


def region_probabilities(logits: Tensor, manifest: ModelManifest) -> Tensor:
    """Probabilities (3, D, H, W) of WT, TC and ET from one patient's logits.

    Args:
        logits: (R, D, H, W); the manifest says what the channels are.
        manifest: of the model that made them.
    """
    if manifest.activation == "softmax":
        _, necrotic, edema, enhancing = logits.softmax(dim=0)
        return torch.stack([necrotic + edema + enhancing, necrotic + enhancing, enhancing])
    return logits.sigmoid()[[manifest.regions.index(region) for region in REGIONS]]


def _with_grid(maps: TokenMaps, view: FieldOfView, prepared: Prepared) -> AttentionMaps:
    factor = view.size[0] // maps.token_learner.shape[2]
    learner, fuser = (m[0].cpu().numpy().astype(np.float32) for m in maps)
    depth, height, width = learner.shape[1:]
    grid = prepared.grid.coarsened(factor, view.start[::-1], (width, height, depth))
    return AttentionMaps(learner, fuser, grid)
