"""Synthetic glioma patients on real anatomy: no patient data needed, none shipped.

`synthetic_patient` makes one from a seed; `write_patient` writes it as a BraTS-style folder.
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
