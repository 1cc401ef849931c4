"""Outliers among the intensities of a scan."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.study.scans import Study

_USUAL_PERCENTILES = (0.1, 99.9)
"""Percentiles that bound the usual range of values."""
_OUTLIER_MARGIN = 5.0
"""Distance from the usual range, in multiples of it, that makes an outlier; vessels and fluid stay within one."""
_OUTLIER_SAMPLING = 7
"""Step between the voxels that the percentiles are computed from, to save time."""


def without_outliers(study: Study) -> tuple[Study, tuple[Finding, ...]]:
    """Clip voxels far outside the usual range of values to its ends.

    A few such voxels, from saturation or from a division by nearly 0, would squeeze all other values into a sliver of
    the normalized range. Scans without outliers stay bit-identical.

    Args:
        study: Scans of one patient.

    Returns:
        Study with clipped scans, and a finding for each of them.
    """
    scans, findings = dict(study.scans), []
    for sequence, scan in study.scans.items():
        values = sitk.GetArrayViewFromImage(scan.image)
        low, high = np.percentile(values.ravel()[::_OUTLIER_SAMPLING], _USUAL_PERCENTILES)
        margin = _OUTLIER_MARGIN * (high - low)
        if not margin or (low - margin <= values.min() and values.max() <= high + margin):
            continue
        outliers = (values < low - margin) | (values > high + margin)
        clipped = np.where(outliers, np.clip(values, low, high, dtype=np.float32), values)
        scans[sequence] = replace(scan, image=Grid.of(scan.image).image(clipped))
        text = (
            f"{scan.source} ({sequence}) has {outliers.sum()} voxels far brighter or darker than all others; they were "
            "taken to be as bright or dark as the others' extremes."
        )
        findings.append(Finding("extreme_voxels", text))
    return replace(study, scans=scans), tuple(findings)
