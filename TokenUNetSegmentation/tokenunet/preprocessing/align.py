"""Brings the scans of one session onto the reference, where they do not lie there yet."""

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from tokenunet.core.background import foreground
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.preprocessing.register import LEAST_QUALITY, Alignment, Reference
from tokenunet.preprocessing.skull_stripping import extract_brain, is_stripped
from tokenunet.study.scans import Study


def align_study(
    study: Study, on_fraction: Callable[[float], None] = lambda fraction: None
) -> tuple[dict[SequenceName, Alignment], tuple[Finding, ...]]:
    """Rigid alignments of all scans but the reference, and what to be wary of.

    Skull-stripped scans that share one grid were aligned by whoever made them, and are left alone.

    Args:
        study: as read.
        on_fraction: is told the progress, 0 to 1; may raise to stop.
    """
    image = study.scans[study.reference].image
    stripped = is_stripped(image)
    others = {s: scan for s, scan in study.scans.items() if s != study.reference}
    grid = Grid.of(image)
    if stripped and all(Grid.of(scan.image).same_as(grid) for scan in others.values()):
        return {}, ()
    reference = Reference(image, _shown(image) if stripped else extract_brain([image]))
    alignments, findings = {}, []
    for done, (sequence, scan) in enumerate(others.items(), start=1):
        alignment = reference.align(scan.image)
        alignments[sequence] = alignment
        if alignment.quality < LEAST_QUALITY:
            message = (
                f"{scan.source} ({sequence}) could not be aligned to {study.reference} with confidence: moved by "
                f"{alignment.shift_mm:.0f} mm and {alignment.rotation_degrees:.0f}°. The result may be wrong there; "
                "look at the pictures in quality.html."
            )
            findings.append(Finding("poor_alignment", message))
        on_fraction(done / len(others))
    return alignments, tuple(findings)


def _shown(image: sitk.Image) -> sitk.Image:
    return Grid.of(image).image(foreground(sitk.GetArrayViewFromImage(image)).astype(np.uint8))
