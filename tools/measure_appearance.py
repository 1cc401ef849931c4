"""Measure what synthetic patients look like, for the test that compares them with real ones.

Run it after every change of the generator: ``python -m tools.measure_appearance``. It takes some minutes.
"""

import json
from pathlib import Path

import numpy as np
import torch
from tokenunet.core.sequences import SEQUENCES
from tokenunet.preprocessing.prepare import normalize
from tokenunet.synthesis import Kind, synthetic_patient
from tokenunet.synthesis.appearance import appearance

FIGURES = Path(__file__).parents[1] / "Testing/synthesis/appearance_figures.json"
PATIENTS = 40
SPACING = 1.6
"""Voxel size of the default model, in mm."""
_FIRST_SEED = 500
_KINDS = (Kind.RING, Kind.NODULAR, Kind.NON_ENHANCING)


def figures_of(number: int) -> dict[str, float]:
    """Return the figures of one of the patients, rounded.

    Args:
        number: Place of the patient in the file, from 0.
    """
    patient = synthetic_patient(_FIRST_SEED + number, SPACING, kind=_KINDS[number % len(_KINDS)])
    brain = np.logical_or.reduce([image != 0 for image in patient.images.values()])
    image = torch.stack([normalize(patient.images[name], brain, name) for name in SEQUENCES]).numpy()
    return {name: round(float(value), 3) for name, value in appearance(image, patient.labels, SPACING).items()}


if __name__ == "__main__":
    rows = [figures_of(number) for number in range(PATIENTS)]
    FIGURES.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
