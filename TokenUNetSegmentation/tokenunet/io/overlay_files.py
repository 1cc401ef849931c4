"""Overlays of a result: their files, and the index of them in its run report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from tokenunet.core.builtin_overlays import (
    ENSEMBLE_UNCERTAINTY,
    TOKEN_FUSER,
    TOKEN_LEARNER,
    token_fuser_overlay,
    token_learner_overlay,
    uncertainty_overlay,
)
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import ListedOverlay, Overlay, OverlayGroup

INDEX = "overlays"
"""Key of the index in the run report."""
FILES_0_1 = ("disagreement.nii.gz", "masks/token_learner_*.nii.gz", "masks/token_fuser_*.nii.gz")
"""Files of overlays that version 0.1 wrote."""


@dataclass(frozen=True)
class OverlayFiles:
    """A group of overlays and their files.

    Attributes:
        group: Group as the run report lists it.
        paths: File of each overlay, in the order of the group.
    """

    group: OverlayGroup
    paths: tuple[Path, ...]


def write_overlays(overlays: Iterable[Overlay], folder: Path) -> None:
    """Write each overlay as `overlays/<group>/<name>.nii.gz`.

    Args:
        overlays: Overlays of one patient.
        folder: Folder of the result.

    Raises:
        RuntimeError: If SimpleITK cannot write a file.
    """
    for overlay in overlays:
        path = folder / overlay.file
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(overlay.grid.image(overlay.array), path, useCompression=True, compressionLevel=1)


def list_overlays(report: dict[str, Any], folder: Path) -> tuple[OverlayFiles, ...]:
    """Return the overlays of a result, without their arrays.

    Args:
        report: Run report, also of version 0.1, which had no index of overlays.
        folder: Folder of the result.

    Raises:
        OverlayError: If the index is damaged.
        UnreadableImageError: If a file of version 0.1 cannot be read.
    """
    if INDEX not in report:
        return tuple(_list_0_1(report, folder))
    groups = (OverlayGroup.from_json(entry) for entry in report[INDEX])
    return tuple(OverlayFiles(group, tuple(folder / overlay.file for overlay in group.overlays)) for group in groups)


def has_attention_maps(report: dict[str, Any]) -> bool:
    """Return whether a run report lists attention maps; also of version 0.1."""
    if INDEX not in report:
        return bool(report.get("masks"))
    return any(entry["name"] == TOKEN_LEARNER.name for entry in report[INDEX])


def read_overlays(report: dict[str, Any], folder: Path) -> dict[str, Overlay]:
    """Return the overlays of a result by name.

    Args:
        report: Run report.
        folder: Folder of the result.

    Raises:
        OverlayError: If the index is damaged, or an overlay does not fit its grid.
        UnreadableImageError: If a file cannot be read.
    """
    overlays = {}
    for files in list_overlays(report, folder):
        for listed, path in zip(files.group.overlays, files.paths, strict=True):
            image = _read(path)
            overlays[listed.name] = Overlay(**vars(listed), array=sitk.GetArrayFromImage(image), grid=Grid.of(image))
    return overlays


def _list_0_1(report: dict[str, Any], folder: Path) -> Iterator[OverlayFiles]:
    """Version 0.1 listed the number of attention maps, and wrote an ensemble's uncertainty without listing it."""
    for group, make in ((TOKEN_LEARNER, token_learner_overlay), (TOKEN_FUSER, token_fuser_overlay)):
        count = int(report.get("masks", {}).get(group.name, 0))
        paths = tuple(folder / "masks" / f"{group.name}_{number}.nii.gz" for number in range(1, count + 1))
        images = [_read(path) for path in paths]
        overlays = (make(n, sitk.GetArrayViewFromImage(i), Grid.of(i)) for n, i in enumerate(images, start=1))
        if count:
            yield OverlayFiles(replace(group, overlays=tuple(map(_listed, overlays))), paths)
    if report.get("volumes_range_ml"):
        path = folder / "disagreement.nii.gz"
        image = _read(path)
        overlay = uncertainty_overlay(sitk.GetArrayViewFromImage(image), Grid.of(image))
        yield OverlayFiles(replace(ENSEMBLE_UNCERTAINTY, overlays=(_listed(overlay),)), (path,))


def _listed(overlay: Overlay) -> ListedOverlay:
    """Return the overlay without its voxels."""
    return ListedOverlay(**{key: value for key, value in vars(overlay).items() if key not in ("array", "grid")})


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(path)
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise UnreadableImageError(f"{path} cannot be read.", "Segment the patient again.") from error
