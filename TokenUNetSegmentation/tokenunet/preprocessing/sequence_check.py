"""Check for swapped sequences, by file names and image features, and for one scan given twice."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from pathlib import PurePath

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import foreground
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing.register import Alignment
from tokenunet.study.identify.image_features import sequences_by_features
from tokenunet.study.identify.tags_and_names import evidence_of, sequence_in
from tokenunet.study.scans import Study

_SAMPLING_MM = (4.0, 4.0, 4.0)
_ALIKE = 0.965
"""Rank correlation from which on two scans show the same; T1 and T1ce of 15 real patients reach 0.94."""
_INSIDE = 0.9
"""Share of the surroundings of a voxel inside the head from which on it is compared."""
_FEWEST_COMPARED = 500
"""Number of voxels below which nothing is compared."""


def check_sequences(
    study: Study,
    recognized: Collection[SequenceName] = (),
    alignments: Mapping[SequenceName, Alignment] | None = None,
) -> list[Finding]:
    """Return a warning for each scan that seems to be another sequence than it was given as, or a copy of another scan.

    Args:
        study: Scans as read.
        recognized: Sequences with evidence other than their names, which are not compared with their names.
        alignments: Rigid alignment by sequence, for scans that are not aligned with the reference.
    """
    findings = []
    for sequence, scan in study.scans.items():
        by_name = evidence_of(PurePath(scan.source).name, None)
        named = by_name.reason if by_name.excluded else sequence_in(by_name)
        if sequence in SEQUENCES and sequence not in recognized and named not in (None, sequence):
            findings.append(
                Finding("sequence_name", f"{scan.source} was given as {sequence}, but its name says {named}.")
            )
    coarse = _coarse(study, alignments or {})
    for sequence, recognized_as in _recognize(coarse).items():
        if recognized_as != sequence:
            findings.append(
                Finding(
                    "sequence_content",
                    f"The volume given as {sequence} ({study.scans[sequence].source}) looks like {recognized_as}: "
                    "check that no two sequences were swapped.",
                )
            )
    for one, other in _copies(coarse):
        findings.append(
            Finding(
                "copied_scan",
                f"The volume given as {one} ({study.scans[one].source}) shows nearly the same as that given as {other} "
                f"({study.scans[other].source}), as a processed copy does: check that they are two sequences.",
            )
        )
    return findings


def _recognize(coarse: Mapping[SequenceName, NDArray]) -> dict[SequenceName, SequenceName]:
    """Return the sequence that each scan looks like, by the sequence it was given as.

    The features compare the scans with each other, so that all of `SEQUENCES` are needed. A scan keeps the sequence it
    was given as unless its features contradict it.

    Args:
        coarse: Values of the scans on one grid, (D, H, W).

    Returns:
        Sequence by given sequence; empty if one of `SEQUENCES` is missing.
    """
    if any(sequence not in coarse for sequence in SEQUENCES):
        return {}
    sequences = sequences_by_features([coarse[s] for s in SEQUENCES])
    return dict(zip(SEQUENCES, sequences or SEQUENCES, strict=True))


def _coarse(study: Study, alignments: Mapping[SequenceName, Alignment]) -> dict[SequenceName, NDArray]:
    """Return the values of each scan on one coarse grid, (D, H, W)."""
    grid = Grid.of(study.scans[study.reference].image).with_spacing(_SAMPLING_MM)
    transforms = {sequence: alignment.transform for sequence, alignment in alignments.items()}
    return {
        s: sitk.GetArrayFromImage(grid.resample(scan.image, sitk.sitkNearestNeighbor, transforms.get(s)))
        for s, scan in study.scans.items()
    }


def _copies(coarse: Mapping[SequenceName, NDArray]) -> Iterator[tuple[SequenceName, SequenceName]]:
    """Yield pairs of scans that differ by noise, blur, or a monotonic change of their intensities alone."""
    shown = {sequence: foreground(array) for sequence, array in coarse.items()}
    for one, other in combinations(coarse, 2):
        both = shown[one] & shown[other]
        share = _smoothed(both.astype(np.float32))
        inside = share > _INSIDE
        if inside.sum() < _FEWEST_COMPARED:
            continue
        means = [_smoothed(np.where(both, coarse[s], 0))[inside] / share[inside] for s in (one, other)]
        ranks = [mean.argsort().argsort() for mean in means]
        if np.corrcoef(ranks[0], ranks[1])[0, 1] > _ALIKE:
            yield one, other


def _smoothed(array: NDArray) -> NDArray[np.float32]:
    """Return an array (D, H, W) after a Gaussian filter of one voxel."""
    return sitk.GetArrayFromImage(
        sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(array.astype(np.float32)), 1.0)
    )
