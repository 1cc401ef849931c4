"""Choices that the module's parameter node keeps; their values are what the command line takes."""

from enum import Enum

TITLES = {
    "token_unet_transformer": "Token-UNet-T",
    "token_unet": "Token-UNet",
    "unet_star": "UNet**",
    "unet": "U-Net",
    "swin_unetr": "SwinUNETR",
}
"""Of the architectures, as short as a table needs them; T is the one with a transformer."""
ARCHITECTURES = tuple(TITLES)
SETTINGS = ("epochs", "learning_rate", "patch_size", "accumulation", "workers")
"""Of `tokenunet.training.config.configuration.TrainingConfiguration`: those that people change."""


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
