"""Registration of the scans of one session to the reference, unless they are aligned already."""

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from tokenunet.core.background import foreground
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.preprocessing.placement import scans_out_of_place
from tokenunet.preprocessing.register import LEAST_QUALITY, Alignment, Reference
from tokenunet.preprocessing.skull_stripping import extract_brain, is_stripped
from tokenunet.study.scans import Study

_LEAST_SHIFT_MM, _LEAST_ROTATION_DEGREES = 2.0, 2.0
"""Smallest move of a scan on the reference's grid that counts; less is within the accuracy of registration."""


def align_study(
    study: Study, on_fraction: Callable[[float], None] = lambda fraction: None
) -> tuple[dict[SequenceName, Alignment], tuple[Finding, ...]]:
    """Register all scans that are not aligned to the reference yet.

    Skull-stripped scans on one grid were aligned before they were stripped. Of those, only scans that fit better
    after a small move are registered.

    Args:
        study: Scans as read.
        on_fraction: Callback that receives the progress, 0 to 1; may raise `Cancelled` to stop.

    Returns:
        Rigid alignment by sequence, for the scans that were registered, and the findings for the user.
    """
    image = study.scans[study.reference].image
    stripped = is_stripped(image)
    others = {s: scan for s, scan in study.scans.items() if s != study.reference}
    grid = Grid.of(image)
    aligned_before = stripped and all(Grid.of(scan.image).same_as(grid) for scan in others.values())
    if aligned_before:
        out_of_place = scans_out_of_place(image, {s: scan.image for s, scan in others.items()})
        others = {s: others[s] for s in out_of_place}
        if not others:
            return {}, ()
    reference = Reference(image, _shown(image) if stripped else extract_brain([image]))
    alignments, findings = {}, []
    for done, (sequence, scan) in enumerate(others.items(), start=1):
        alignment = reference.align(scan.image)
        on_fraction(done / len(others))
        sure = alignment.quality >= LEAST_QUALITY
        if aligned_before:
            if sure and alignment.shift_mm < _LEAST_SHIFT_MM and alignment.rotation_degrees < _LEAST_ROTATION_DEGREES:
                continue
            findings.append(_not_on_reference(scan.source, sequence, study, alignment, sure))
            if not sure:
                continue
        elif not sure:
            message = (
                f"{scan.source} ({sequence}) could not be aligned to {study.reference} with confidence: moved by "
                f"{alignment.shift_mm:.0f} mm and {alignment.rotation_degrees:.0f}°. The result may be wrong there; "
                "look at the pictures in quality.html."
            )
            findings.append(Finding("poor_alignment", message))
        alignments[sequence] = alignment
    return alignments, tuple(findings)


def _not_on_reference(source: str, sequence: SequenceName, study: Study, alignment: Alignment, sure: bool) -> Finding:
    """Return the warning about a scan on the reference's grid that shows the brain in another place."""
    done = (
        f"it was moved by {alignment.shift_mm:.0f} mm and {alignment.rotation_degrees:.0f}°; look at the pictures in "
        "quality.html."
        if sure
        else "no better place was found with confidence. The result may be wrong; register the scans first."
    )
    text = (
        f"{source} ({sequence}) shares the grid of {study.scans[study.reference].source} ({study.reference}) but does "
        f"not show the brain in the same place: {done}"
    )
    return Finding("not_aligned", text)


def _shown(image: sitk.Image) -> sitk.Image:
    """Return the foreground of a skull-stripped scan as a binary mask."""
    return Grid.of(image).image(foreground(sitk.GetArrayViewFromImage(image)).astype(np.uint8))
