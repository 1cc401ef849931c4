"""Hold-out of synthetic patients whose cores look like real ones.

What a generator paints, a network trained on it finds. In these patients the contrasts between the parts of the tumor
are the medians of 15 real patients, varied a little, rather than draws from the generator's ranges: cores hardly unlike
the edema about them in T1, and brighter than it in FLAIR.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tokenunet.core.sequences import SequenceName
from tokenunet.evaluation.holdout import HoldOut
from tokenunet.synthesis import Kind, SyntheticPatient, draw_parameters, make_patient
from tokenunet.synthesis.contrast import Contrast

FIRST_SEED = 5 * 10**9
"""Far from the seeds of training, validation and everything else that is measured."""
CORE_CONTRAST: dict[SequenceName, float] = {"T1": -0.26, "T1ce": -0.38, "T2": 0.93, "FLAIR": 0.59}
"""Non-enhancing core minus edema in real patients, in standard deviations of the brain."""
ENHANCING_CONTRAST: dict[SequenceName, float] = {"T1": 0.09, "T1ce": 2.12, "T2": 0.53, "FLAIR": 0.46}
DEVIATION: dict[SequenceName, float] = {"T1": 0.14, "T1ce": 0.19, "T2": 0.27, "FLAIR": 0.12}
"""Usual standard deviation of a synthetic brain, in the units of `tokenunet.synthesis.contrast`."""
_KINDS = (Kind.RING, Kind.NODULAR, Kind.NON_ENHANCING, Kind.SOLID)


def real_appearance_patients(number: int) -> Sequence[HoldOut]:
    """Return patients of all kinds that have a core, in turn."""
    return [HoldOut(FIRST_SEED + i, _KINDS[i % len(_KINDS)]) for i in range(number)]


def with_real_appearance(patient: HoldOut, spacing: float) -> SyntheticPatient:
    """Return the patient with the core and the enhancement of real ones.

    Args:
        patient: From `real_appearance_patients`.
        spacing: One of `tokenunet.synthesis.patient.SPACINGS`, in mm.
    """
    drawn = draw_parameters(patient.seed, kind=patient.kind)
    contrast = _with_real_core(drawn.contrast, np.random.default_rng(patient.seed))
    return make_patient(patient.seed, spacing, replace(drawn, contrast=contrast))


def _with_real_core(contrast: Contrast, random: np.random.Generator) -> Contrast:
    core, enhancing = random.uniform(0.4, 1.2), random.uniform(0.5, 1.3)
    sequences = {
        name: replace(
            one,
            core=one.edema + core * CORE_CONTRAST[name] * DEVIATION[name] * random.uniform(0.6, 1.4),
            enhancing=one.edema + enhancing * ENHANCING_CONTRAST[name] * DEVIATION[name] * random.uniform(0.8, 1.2),
        )
        for name, one in contrast.sequences.items()
    }
    return replace(contrast, sequences=sequences, blood=0.0, cysts=0.0)
