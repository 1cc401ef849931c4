"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum

from slicer.i18n import tr as _


class Preset(Enum):
    """Preset of the training settings."""

    QUICK = "quick"
    ROBUST = "robust"
    PAPER = "paper"
    FEW_SHOT = "few_shot"

    def label(self) -> str:
        """Return the text of the choice in the panel."""
        return {
            "quick": _("quick: a first result"),
            "robust": _("robust: for other scanners"),
            "paper": _("as in the paper"),
            "few_shot": _("few patients: continue from the default model"),
        }[self.value]
