"""Measurements of segmented lesions."""

from tokenunet.measurement.diameters import Diameter, LesionDiameters, lesion_diameters

__all__ = ["Diameter", "LesionDiameters", "lesion_diameters"]
