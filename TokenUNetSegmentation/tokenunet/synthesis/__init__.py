"""Synthetic glioma patients on the anatomy of atlases, without any patient data.

`synthetic_patient` creates one from a seed; `write_patient` writes it as a folder in the layout of BraTS.
"""

from tokenunet.synthesis.patient import (
    PatientParameters,
    SyntheticPatient,
    draw_parameters,
    make_patient,
    synthetic_patient,
)
from tokenunet.synthesis.tumor import Kind
from tokenunet.synthesis.writing import patient_name, write_patient

__all__ = [
    "Kind",
    "PatientParameters",
    "SyntheticPatient",
    "draw_parameters",
    "make_patient",
    "patient_name",
    "synthetic_patient",
    "write_patient",
]
