"""Check for swapped sequences, by file names and image features."""

from collections.abc import Collection, Mapping
from pathlib import PurePath

import SimpleITK as sitk

from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing.register import Alignment
from tokenunet.study.identify.image_features import sequences_by_features
from tokenunet.study.identify.tags_and_names import evidence_of, sequence_in
from tokenunet.study.scans import Study

_SAMPLING_MM = (4.0, 4.0, 4.0)


def check_sequences(
    study: Study,
    recognized: Collection[SequenceName] = (),
    alignments: Mapping[SequenceName, Alignment] | None = None,
) -> list[Finding]:
    """Return a warning for each scan that seems to be another sequence than the one it was given as.

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
    for sequence, recognized_as in recognize(study, alignments or {}).items():
        if recognized_as != sequence:
            findings.append(
                Finding(
                    "sequence_content",
                    f"The volume given as {sequence} ({study.scans[sequence].source}) looks like {recognized_as}: "
                    "check that no two sequences were swapped.",
                )
            )
    return findings


def recognize(study: Study, alignments: Mapping[SequenceName, Alignment]) -> dict[SequenceName, SequenceName]:
    """Return the sequence that each scan looks like, by the sequence it was given as.

    The features compare the scans with each other, so that all of `SEQUENCES` are needed. A scan keeps the sequence it
    was given as unless its features contradict it.

    Args:
        study: Scans as read.
        alignments: Rigid alignment by sequence, for scans that are not aligned with the reference.

    Returns:
        Sequence by given sequence; empty if one of `SEQUENCES` is missing.
    """
    if any(sequence not in study.scans for sequence in SEQUENCES):
        return {}
    grid = Grid.of(study.scans[study.reference].image).with_spacing(_SAMPLING_MM)
    transforms = {sequence: alignment.transform for sequence, alignment in alignments.items()}
    images = [grid.resample(study.scans[s].image, sitk.sitkNearestNeighbor, transforms.get(s)) for s in SEQUENCES]
    sequences = sequences_by_features([sitk.GetArrayFromImage(image) for image in images])
    return dict(zip(SEQUENCES, sequences or SEQUENCES, strict=True))
