"""Contrast of channels whose z-scores a bright lesion has compressed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.core.background import MAD_TO_SD

_CLIPPED = 2.5
"""Distance from the median, in robust deviations, beyond which values are clipped before the spread is taken."""
_LARGEST_FACTOR = 1.6
_TINY = 1e-6


def with_least_spread(tensor: Tensor, brain: NDArray[np.bool_], least: Sequence[float]) -> Tensor:
    """Multiply channels until the spread of most of the brain is as usual.

    Much enhancement widens the standard deviation by which T1ce is divided, so that the rest of the brain, and what
    enhances less, gets less contrast than a network expects. The spread meant here hardly depends on it: that of
    values clipped at 2.5 robust deviations from their median. Channels are multiplied by 1.6 at most.

    Args:
        tensor: Z-scores (C, D, H, W); missing channels are 0 everywhere.
        brain: Brain mask (D, H, W).
        least: Least spread of each channel; 0 leaves a channel as it is.

    Returns:
        Scaled z-scores.

    Example:
        A scan of which a tenth is enhancing::

            scaled = with_least_spread(prepared.tensor, prepared.brain, [0, 0.88, 0, 0])
    """
    scaled = tensor.clone()
    for channel, wanted in enumerate(least):
        if not wanted or not tensor[channel].any():
            continue
        values = tensor[channel].numpy()[brain]
        middle = np.median(values)
        reach = _CLIPPED * MAD_TO_SD * np.median(np.abs(values - middle))
        spread = float(np.clip(values, middle - reach, middle + reach).std())
        scaled[channel] *= float(np.clip(wanted / max(spread, _TINY), 1, _LARGEST_FACTOR))
    return scaled
