"""Curves and validation cases in the scene."""
