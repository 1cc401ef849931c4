"""Out-of-memory fallbacks: single pass, then sliding window, then CPU."""

from dataclasses import dataclass

import torch

from tokenunet.inference.request import Mode


@dataclass(frozen=True)
class Strategy:
    """Device and mode in which the network runs.

    Attributes:
        device: Device of the network.
        mode: Whole brain in a single pass, or sliding window.
        batch_size: Number of windows in one forward pass.
    """

    device: torch.device
    mode: Mode
    batch_size: int = 1

    def __str__(self) -> str:
        """Return the description for messages, such as "a sliding window, 4 at a time, on cuda:0"."""
        if self.mode == "single_pass":
            return f"a single pass on {self.device}"
        return f"a sliding window, {self.batch_size} at a time, on {self.device}"


def fallback_chain(device: torch.device, mode: Mode) -> list[Strategy]:
    """Return the strategies from the fastest to the one that needs the least memory.

    Args:
        device: Requested device.
        mode: Requested mode.
    """
    chain = []
    if mode == "single_pass":
        chain.append(Strategy(device, "single_pass"))
    if device.type == "cpu":
        # A CPU is not faster with several windows at once.
        return [*chain, Strategy(device, "sliding_window")]
    chain += [Strategy(device, "sliding_window", 4), Strategy(device, "sliding_window", 1)]
    return chain + fallback_chain(torch.device("cpu"), mode)
