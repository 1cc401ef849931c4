"""Notices sequences that were mixed up, from the names of the files and from how tissues look in them."""

from collections.abc import Collection, Mapping
from pathlib import PurePath

import SimpleITK as sitk

from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName, sequence_named
from tokenunet.preprocessing.register import Alignment
from tokenunet.study.identify.image_features import sequence_looks
from tokenunet.study.scans import Study

_SAMPLING_MM = (4.0, 4.0, 4.0)


def check_sequences(
    study: Study,
    recognized: Collection[SequenceName] = (),
    alignments: Mapping[SequenceName, Alignment] | None = None,
) -> list[Finding]:
    """What suggests that a scan is not the sequence it was given as; empty where nothing does.

    Args:
        study: as read.
        recognized: sequences that more than their names speaks for.
        alignments: of scans that do not lie on the reference.
    """
    findings = []
    for sequence, scan in study.scans.items():
        named = sequence_named(PurePath(scan.source).name)
        if sequence not in recognized and named not in (None, sequence):
            findings.append(
                Finding("sequence_name", f"{scan.source} was given as {sequence}, but its name says {named}.")
            )
    looks = recognize(study, alignments or {})
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


def recognize(study: Study, alignments: Mapping[SequenceName, Alignment]) -> dict[SequenceName, SequenceName]:
    """Which sequence each scan looks like, by the sequence it was given as; itself where nothing speaks against it.

    Nothing is said of scans that are not all of `SEQUENCES`: it takes the others to tell what one looks like.
    """
    if any(sequence not in study.scans for sequence in SEQUENCES):
        return {}
    grid = Grid.of(study.scans[study.reference].image).with_spacing(_SAMPLING_MM)
    transforms = {sequence: alignment.transform for sequence, alignment in alignments.items()}
    images = [grid.resample(study.scans[s].image, sitk.sitkNearestNeighbor, transforms.get(s)) for s in SEQUENCES]
    looks = sequence_looks([sitk.GetArrayFromImage(image) for image in images])
    return dict(zip(SEQUENCES, looks or SEQUENCES, strict=True))
