"""What is tried when memory runs out: the same prediction in ever smaller pieces, at last on the CPU."""

from dataclasses import dataclass

import torch

from tokenunet.inference.request import Mode


@dataclass(frozen=True)
class Attempt:
    """One way of running the network.

    Attributes:
        device: where it runs.
        mode: the whole brain at once, or window by window.
        batch_size: windows in one forward pass.
    """

    device: torch.device
    mode: Mode
    batch_size: int = 1

    def __str__(self) -> str:
        """Words for a message, such as "windows, 4 at a time, on cuda:0"."""
        if self.mode == "single_pass":
            return f"whole brain at once on {self.device}"
        return f"windows, {self.batch_size} at a time, on {self.device}"


def attempts(device: torch.device, mode: Mode) -> list[Attempt]:
    """The ladder from the fastest to the most frugal attempt: single pass, windows, fewer windows, CPU."""
    ladder = []
    if mode == "single_pass":
        ladder.append(Attempt(device, "single_pass"))
    if device.type == "cpu":
        # More windows at once do not make a CPU faster.
        return [*ladder, Attempt(device, "sliding_window")]
    ladder += [Attempt(device, "sliding_window", 4), Attempt(device, "sliding_window", 1)]
    return ladder + attempts(torch.device("cpu"), mode)
