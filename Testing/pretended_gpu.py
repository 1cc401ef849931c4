"""Stand-in for a GPU that this computer does not have."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary


class PretendedGPU(TorchFunctionMode):
    """Computes on the CPU what is moved to ``cuda``, and refuses what a GPU refuses.

    These are operations on tensors of two devices (single numbers of the CPU are allowed), and conversion to NumPy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._on_gpu = WeakTensorKeyDictionary()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        is_on_gpu = any(tensor in self._on_gpu for tensor in tensors)
        if function == torch.Tensor.device.__get__:
            return torch.device("cuda:0") if is_on_gpu else function(*args)
        if function is torch.Tensor.numpy and is_on_gpu:
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        if function is torch.Tensor.to and isinstance(args[-1], torch.Tensor) and len(args) > 1:  # as another one
            target = torch.device("cuda:0" if args[1] in self._on_gpu else "cpu")
        moves = tensors and (function is torch.Tensor.cpu or target is not None)
        if function == torch.Tensor.data.__set__:  # as a network's parameters are moved
            is_on_gpu = args[1] in self._on_gpu
        elif moves or target is not None:
            is_on_gpu = target is not None and target.type == "cuda"
        elif (
            len({tensor in self._on_gpu for tensor in tensors if tensor.dim()}) > 1
            and function is not torch._has_compatible_shallow_copy_type
        ):
            raise RuntimeError(f"{function} was given tensors on two devices.")
        if tensors or "device" in kwargs:
            args, kwargs = tree_map_only(torch.device, lambda _: torch.device("cpu"), (args, kwargs))
        result = function(*args, **kwargs)
        if moves:
            result = result.clone()  # else a tensor that need not be copied would change its place
        for tensor in tree_leaves(args[0] if function == torch.Tensor.data.__set__ else result):
            if isinstance(tensor, torch.Tensor) and is_on_gpu:
                self._on_gpu[tensor] = True
        return result
