"""Measurement of segmentations against the ground truth."""
