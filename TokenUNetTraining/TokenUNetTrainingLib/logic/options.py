"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum

from slicer.i18n import tr as _


class Preset(Enum):
    """Preset of the training settings."""

    QUICK = "quick"
    ROBUST = "robust"
    PAPER = "paper"

    def label(self) -> str:
        """Return the text of the choice in the panel."""
        return {
            "quick": _("quick: a first result"),
            "robust": _("robust: for other scanners"),
            "paper": _("as in the paper"),
        }[self.value]
