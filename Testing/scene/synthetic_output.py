"""A small patient with the output folder that `tokenunet segment --attention-maps` would have written for it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.core.builtin_overlays import token_fuser_overlay, token_learner_overlay, uncertainty_overlay
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay
from tokenunet.core.regions import labels_from_regions
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.inference.overlays import grouped
from tokenunet.io.overlay_files import INDEX, write_overlays
from tokenunet.io.seg_nrrd import write_segmentation

NUMBER_OF_MAPS = 8
_DOWNSAMPLING = 4


@dataclass(frozen=True)
class SyntheticPatient:
    """Files of a patient and what they hold.

    Attributes:
        inputs: the four scans.
        output: the output folder.
        regions: (3, D, H, W), the tumor.
        scan: T1ce, for its grid.
        maps: by name, such as "token_learner_3".
        report: contents of run.json.
    """

    inputs: dict[SequenceName, Path]
    output: Path
    regions: NDArray[np.bool_]
    scan: sitk.Image
    maps: dict[str, NDArray[np.float32]]
    report: dict[str, object]


def write_patient(
    folder: Path, seed: int = 0, tumor: bool = True, ensemble: bool = False, tokens: int = NUMBER_OF_MAPS
) -> SyntheticPatient:
    """Writes scans (2 mm, on oblique axes) and the output folder of one patient, segmented by one network or by five.

    The five differ within a shell around the tumor, where the uncertainty is 0.25.
    """
    random = np.random.default_rng(seed)
    size = (48, 56, 40)
    axes = np.linalg.qr(np.eye(3) + 0.05 * random.standard_normal((3, 3)))[0]
    axes *= np.sign(np.diag(axes))
    scan = sitk.Image(size, sitk.sitkFloat32)
    scan.SetSpacing((2.0, 2.0, 2.5))
    scan.SetOrigin(random.uniform(-60, -40, 3).tolist())
    scan.SetDirection(axes.ravel().tolist())
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in reversed(size)), indexing="ij")
    brain = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.9) ** 2 < 1
    center = random.uniform(-0.3, 0.3, 3)
    distance = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2)
    regions = np.stack([distance < 0.4, distance < 0.28, (distance < 0.28) & (distance > 0.15)]) & brain & tumor
    labels = labels_from_regions(regions)

    folder.mkdir(parents=True, exist_ok=True)
    inputs: dict[SequenceName, Path] = {}
    for number, sequence in enumerate(SEQUENCES):
        signal = brain * (300 + 60 * np.sin(9 * x + number) * np.cos(8 * y) + 120 * (labels == number + 1))
        inputs[sequence] = folder / f"{sequence}.nii.gz"
        _write(signal.astype(np.float32), scan, inputs[sequence])

    output = folder / "output"
    output.mkdir()
    _write(labels, scan, output / "labels.nii.gz")
    write_segmentation(regions, scan, output / "segmentation.seg.nrrd")
    coarse_scan = sitk.Shrink(scan, [_DOWNSAMPLING] * 3)
    coarse = (slice(_DOWNSAMPLING // 2, None, _DOWNSAMPLING),) * 3
    overlays: list[Overlay] = []
    for number in range(1, tokens + 1):
        bump = np.exp(-((distance[coarse] - 0.05 * number) ** 2) / 0.05)
        learner = (bump / bump.mean()).astype(np.float32)
        fuser = (bump - 0.5 * np.cos(number * x[coarse])).astype(np.float32)
        overlays.append(token_learner_overlay(number, learner, Grid.of(coarse_scan)))
        overlays.append(token_fuser_overlay(number, fuser, Grid.of(coarse_scan)))

    ml = float(np.prod(scan.GetSpacing())) / 1000
    volumes = {"WT": regions[0], "TC": regions[1], "ET": regions[2], "NCR": labels == 1, "ED": labels == 2}
    ml_of = {name: round(float(voxels.sum()) * ml, 3) for name, voxels in volumes.items()}
    report: dict[str, object] = {
        "schema": 1,
        "started": "2026-03-01T12:30:05+00:00",
        "reference": "T1ce",
        "warnings": [{"code": "example", "message": "Ödem «µ» µl"}],
        "volumes_ml": ml_of,
    }
    if ensemble:
        shell = ((distance > 0.35) & (distance < 0.45)).astype(np.float32)
        overlays.append(uncertainty_overlay(shell / 4, Grid.of(scan)))
        report["model"] = {"name": "Five folds", "architecture": "token_unet", "members": 5}
        report["volumes_range_ml"] = {name: [round(0.8 * ml, 3), round(1.1 * ml, 3)] for name, ml in ml_of.items()}
    write_overlays(overlays, output)
    report[INDEX] = [group.to_json() for group in grouped(overlays)]
    (output / "run.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    return SyntheticPatient(inputs, output, regions, scan, {o.name: o.array for o in overlays}, report)


def _write(array: NDArray[np.generic], grid: sitk.Image, path: Path) -> None:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    sitk.WriteImage(image, path)
