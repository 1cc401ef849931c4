"""Notices sequences that were mixed up, from the names of the files and from how tissues look in them.

What the images are recognised by, in the brain at 4 mm:

- T2: its intensities run against those of all others, for fluid is bright in it alone.
- FLAIR: away from fluid it goes with T2, as grey matter and oedema are bright in both; T1 and T1ce go against it.
- T1ce: what sets it apart from T1 is a few much brighter voxels, enhancing vessels and tumour.

On 40 synthetic patients, each swap with T2 or FLAIR was seen in all 40, T1 with T1ce in 6, and none was warned about
without reason: the third rule is weak and only speaks when it is sure.
"""

from pathlib import PurePath

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.background import background_value
from tokenunet.grid import Grid
from tokenunet.preprocessing.findings import Finding
from tokenunet.preprocessing.study import Study
from tokenunet.sequences import SEQUENCES, SequenceName, sequence_named

_SAMPLING_MM = (4.0, 4.0, 4.0)
_FLUID_PERCENTILE = 75
"""Of T2's intensities; what is brighter is taken for fluid."""
_TAIL_PERCENTILES = (0.5, 50, 99.5)
_SWAPPED_TAILS = 0.4
"""Bright over dark tail of T1ce minus T1. Above 1 where contrast agent is seen; only clearly below is suspicious."""
_FEWEST_VOXELS = 1000


def check_sequences(study: Study) -> list[Finding]:
    """What suggests that a scan is not the sequence it was given as; empty where nothing does."""
    findings = []
    for sequence, scan in study.scans.items():
        named = sequence_named(PurePath(scan.source).name)
        if named not in (None, sequence):
            findings.append(
                Finding("sequence_name", f"{scan.source} was given as {sequence}, but its name says {named}.")
            )
    looks = recognise(study)
    for sequence, look in looks.items():
        if look != sequence:
            findings.append(
                Finding(
                    "sequence_content",
                    f"The volume given as {sequence} ({study.scans[sequence].source}) looks like {look}: "
                    "check that no two sequences were swapped.",
                )
            )
    return findings


def recognise(study: Study) -> dict[SequenceName, SequenceName]:
    """Which sequence each scan looks like, by the sequence it was given as; itself where nothing speaks against it."""
    given = list(SEQUENCES)
    values = _brain_values(study)
    if values.shape[1] < _FEWEST_VOXELS:
        return dict(zip(given, given, strict=True))
    low, high = (np.percentile(values, q, axis=1, keepdims=True) for q in (1, 99))
    clipped = np.clip(values, low, high)

    t2 = int(np.corrcoef(clipped).sum(axis=1).argmin())
    tissue = clipped[:, clipped[t2] <= np.percentile(clipped[t2], _FLUID_PERCENTILE)]
    with_t2 = np.asarray(np.corrcoef(tissue))[t2]
    with_t2[t2] = -1
    flair = int(with_t2.argmax())
    t1, t1ce = (i for i in range(4) if i not in (t2, flair))
    if t1 == given.index("T1ce"):  # believed as long as its tail does not speak against it
        t1, t1ce = t1ce, t1
    if _bright_tail(values[t1], values[t1ce]) < _SWAPPED_TAILS:
        t1, t1ce = t1ce, t1
    order: list[SequenceName] = ["T1"] * 4
    for index, look in zip((t1, t1ce, t2, flair), SEQUENCES, strict=True):
        order[index] = look
    return dict(zip(given, order, strict=True))


def _brain_values(study: Study) -> NDArray[np.float64]:
    """Intensities (4, voxels) in the order of `SEQUENCES`, where no scan has its background."""
    grid = Grid.of(study.scans[study.reference].image).with_spacing(_SAMPLING_MM)
    images = [grid.resample(study.scans[s].image, sitk.sitkNearestNeighbor) for s in SEQUENCES]
    stack = np.stack([sitk.GetArrayFromImage(image).astype(np.float64) for image in images])
    return stack[:, np.all([array != background_value(array) for array in stack], axis=0)]


def _bright_tail(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How much longer the bright tail of ``other - one`` is than its dark one, both in units of their own spread."""
    scaled = [(v - np.median(v)) / np.subtract(*np.percentile(v, [75, 25])) for v in (one, other)]
    dark, middle, bright = np.percentile(scaled[1] - scaled[0], _TAIL_PERCENTILES)
    return float((bright - middle) / (middle - dark))
