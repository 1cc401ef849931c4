"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum


class Device(Enum):
    """What computes."""

    AUTO = "auto"
    CUDA = "cuda:0"
    MPS = "mps"
    CPU = "cpu"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {"auto": "automatic", "cuda:0": "GPU", "mps": "Apple GPU", "cpu": "processor"}[self.value]


class Mode(Enum):
    """How the brain goes through the network."""

    SINGLE_PASS = "single_pass"
    SLIDING_WINDOW = "sliding_window"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {"single_pass": "whole brain", "sliding_window": "window by window"}[self.value]
