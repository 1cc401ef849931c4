"""Measurements of segmented lesions."""

from tokenunet.measurement.diameters import Diameter, LesionDiameters, lesion_diameters
from tokenunet.measurement.measure import measure, volumes_ml

__all__ = ["Diameter", "LesionDiameters", "lesion_diameters", "measure", "volumes_ml"]
