"""Small artificial patient for the module's self-tests, which run in the application."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from tokenunet.core.builtin_overlays import (
    TOKEN_FUSER,
    TOKEN_LEARNER,
    token_fuser_overlay,
    token_learner_overlay,
)
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.io.overlay_files import INDEX, write_overlays
from tokenunet.io.seg_nrrd import write_segmentation

_SHAPE = (32, 40, 36)
_SPACING_MM = 4.0
_DOWNSAMPLING = 4


def add_volumes(patient: str) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Add four skull-stripped volumes named after their sequences to the scene, and return them."""
    distance = _distance(_SHAPE)
    volumes = {}
    for number, sequence in enumerate(SEQUENCES, start=1):
        signal = (distance < 1) * (100.0 + 20 * number * np.cos(3 * distance))
        ijk_to_ras = np.diag([-_SPACING_MM, -_SPACING_MM, _SPACING_MM, 1])
        volumes[sequence] = slicer.util.addVolumeFromArray(
            signal.astype(np.float32), ijk_to_ras, f"{patient}_{sequence}", "vtkMRMLScalarVolumeNode"
        )
    return volumes


def write_result(folder: Path) -> None:
    """Write what `tokenunet segment --attention-maps` could have written for these volumes."""
    distance = _distance(_SHAPE)
    regions = np.stack([distance < 0.5, distance < 0.35, distance < 0.2])
    grid = sitk.GetImageFromArray(regions[0].astype(np.uint8))
    grid.SetSpacing([_SPACING_MM] * 3)
    write_segmentation(regions, grid, folder / "segmentation.seg.nrrd")
    coarse = sitk.Shrink(grid, [_DOWNSAMPLING] * 3)
    coarse_distance = _distance(sitk.GetArrayFromImage(coarse).shape)
    groups = []
    for group, make in ((TOKEN_LEARNER, token_learner_overlay), (TOKEN_FUSER, token_fuser_overlay)):
        maps = (np.exp(-number * coarse_distance).astype(np.float32) for number in range(1, 9))
        overlays = tuple(make(number, array, Grid.of(coarse)) for number, array in enumerate(maps, start=1))
        write_overlays(overlays, folder)
        groups.append(replace(group, overlays=overlays).to_json())
    report = {"schema": 1, "reference": "T1ce", INDEX: groups}
    (folder / "run.json").write_text(json.dumps(report), encoding="utf-8")


def _distance(shape: tuple[int, ...]) -> np.ndarray:
    """Return the normalized distance of each voxel from the center; 1 is near the border of the volume."""
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    return np.sqrt(sum(axis**2 for axis in axes))
