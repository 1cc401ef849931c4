"""The colors of the architectures, the same in every figure and in the panel; needs no PyTorch."""

ARCHITECTURE_COLORS = {
    "unet": "#56b4e9",
    "swin_unetr": "#cc79a7",
    "unet_star": "#e69f00",
    "token_unet": "#009e73",
    "token_unet_transformer": "#0072b2",
}
"""Okabe and Ito's, told apart by people with any color vision."""
