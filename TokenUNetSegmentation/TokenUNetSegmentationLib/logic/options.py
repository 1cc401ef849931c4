"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum

from tokenunet.core.sequences import SequenceName


class Reference(Enum):
    """On whose grid the result is made."""

    T1CE = "T1ce"
    T1 = "T1"
    T2 = "T2"
    FLAIR = "FLAIR"

    @property
    def sequence(self) -> SequenceName:
        """The sequence's name, typed."""
        return self.value

    def label(self) -> str:
        """Text of the choice in the panel."""
        return self.value


class Device(Enum):
    """What computes."""

    AUTO = "auto"
    CUDA = "cuda:0"
    MPS = "mps"
    CPU = "cpu"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {"auto": "automatic", "cuda:0": "NVIDIA graphics card", "mps": "Apple graphics", "cpu": "processor"}[
            self.value
        ]


class Mode(Enum):
    """How the brain goes through the network."""

    SINGLE_PASS = "single_pass"
    SLIDING_WINDOW = "sliding_window"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {"single_pass": "whole brain", "sliding_window": "window by window"}[self.value]
