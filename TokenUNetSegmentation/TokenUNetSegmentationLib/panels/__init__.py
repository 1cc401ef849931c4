"""Widgets of the panel's sections."""
