"""Read the weights of a foreign checkpoint; run as ``python checkpoint_process.py CHECKPOINT OUTPUT``.

It runs in a process of its own, with little memory and time, and lets PyTorch's restricted unpickler construct nothing
but tensors and plain values. Weights go to OUTPUT as safetensors; the last line of standard output is a JSON object
with either ``facts`` or ``error``. It imports nothing of this project.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

_WEIGHTS = ("network_weights", "state_dict", "model", "net")
"""Entries in which frameworks keep the weights; a checkpoint may also be the weights themselves."""
_PREFIXES = ("_orig_mod.", "module.")
"""What compilation and parallel training put before names."""
_SPARE_BYTES = 2**30
_LONGEST_S = 600


def limit(checkpoint: Path) -> None:
    """Limit memory and time to what honest weights need, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # exists on Unix only

        resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST_S, _LONGEST_S))
        held = Path("/proc/self/statm")
        if held.exists():
            now = int(held.read_text().split()[0]) * resource.getpagesize()
            most = now + 4 * checkpoint.stat().st_size + _SPARE_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def plain_values() -> list[Any]:
    """Return what checkpoints of nnU-Net hold besides tensors: NumPy's numbers in their logs."""
    import _codecs

    scalar = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    names = ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"]
    return [np.dtype, *types, _codecs.encode, *((scalar, name) for name in names)]


def weights_in(values: Any) -> dict[str, torch.Tensor]:
    """Return the tensors by name.

    Raises:
        ValueError: If there is anything else among them.
    """
    for name in _WEIGHTS:
        if isinstance(values, dict) and isinstance(values.get(name), dict):
            values = values[name]
            break
    if not isinstance(values, dict) or not values:
        raise ValueError("it holds no weights")
    weights = {}
    for name, tensor in values.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{str(name)[:60]!r} among its weights is no tensor")
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        weights[name] = tensor
    return weights


def once_each(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return each tensor under the first of its names, as nnU-Net's have several."""
    kept: dict[tuple[Any, ...], str] = {}
    for name, tensor in weights.items():
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
        kept.setdefault(place if tensor.numel() else (name,), name)
    return {name: weights[name].clone().contiguous() for name in kept.values()}


def facts_in(values: Any) -> dict[str, Any]:
    """Return what nnU-Net's checkpoints say of configuration, trainer and mirroring."""
    if not isinstance(values, dict):
        return {}
    arguments = values.get("init_args")
    facts = {
        "configuration": arguments.get("configuration") if isinstance(arguments, dict) else None,
        "trainer": values.get("trainer_name"),
        "mirror_axes": values.get("inference_allowed_mirroring_axes"),
        "epochs": values.get("current_epoch"),
    }
    return {name: value for name, value in facts.items() if isinstance(value, str | int | list | tuple)}


def main(checkpoint: Path, output: Path) -> dict[str, Any]:
    """Convert a checkpoint; return what is printed."""
    limit(checkpoint)
    try:
        with torch.serialization.safe_globals(plain_values()):
            values = torch.load(checkpoint, map_location="cpu", weights_only=True)
        safetensors.torch.save_file(once_each(weights_in(values)), output)
        return {"facts": facts_in(values)}
    except MemoryError:
        return {"error": "it needs more memory than weights of its size do"}
    except Exception as error:  # whatever a hostile file provokes becomes one sentence
        return {"error": " ".join(str(error).split())[:5000] or type(error).__name__}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
