"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum

from slicer.i18n import tr as _


class Device(Enum):
    """Device to run on."""

    AUTO = "auto"
    CUDA = "cuda:0"
    MPS = "mps"
    CPU = "cpu"

    def label(self) -> str:
        """Return the text of the choice in the panel; a GPU of AMD is used as CUDA device, too."""
        return {"auto": _("automatic"), "cuda:0": _("GPU"), "mps": _("Apple GPU"), "cpu": _("CPU")}[self.value]


class Mode(Enum):
    """Inference mode."""

    SINGLE_PASS = "single_pass"
    SLIDING_WINDOW = "sliding_window"

    def label(self) -> str:
        """Return the text of the choice in the panel."""
        return {"single_pass": _("whole brain"), "sliding_window": _("window by window")}[self.value]
