"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum


class Preset(Enum):
    """Where the numbers of a training come from."""

    QUICK = "quick"
    ROBUST = "robust"
    PAPER = "paper"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {"quick": "quick: a first result", "robust": "robust: for other scanners", "paper": "as in the paper"}[
            self.value
        ]
