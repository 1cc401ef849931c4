"""Measuring segmentations against the truth."""

from tokenunet.evaluation.dice import dice, dice_by_region

__all__ = ["dice", "dice_by_region"]
