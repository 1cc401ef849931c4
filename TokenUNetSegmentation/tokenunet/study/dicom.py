"""Volumes from MR series as exported by an archive: DICOM files of any name and in any order."""

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.errors import UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.io.files import files_below, sha256_of
from tokenunet.study.dicom_excluded import FEWEST_SLICES, why_excluded
from tokenunet.study.dicom_header import DicomHeader, read_header
from tokenunet.study.dicom_pixels import read_frames, read_slices
from tokenunet.study.dicom_stacks import Stack, are_copies, by_place, stacks_of
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identity import check_one_person
from tokenunet.study.scans import Scan, as_scan

_UNEVEN = 0.05
"""Tolerance of slice distances, relative to the usual one; files hold rounded positions."""
_OVERLAPPING = 0.9
"""Smallest distance of slices, as a fraction of their thickness, that is not taken for a gap."""
_UNEVEN_MM = 0.1
"""Tolerance of slice distances, if that is larger."""


@dataclass(frozen=True)
class DicomSeries:
    """Files of one volume.

    Attributes:
        uid: SeriesInstanceUID, shared by all volumes of a series.
        files: Files in the order of the slices; a single one if it holds all slices.
        tags: Tags of the first file.
        part: Difference from other volumes of the same series, such as "echo time 20 ms"; usually empty.
        grid: Grid of the volume; None if `excluded` or `problem` gives a reason.
        excluded: Sentence that says why the series is not a scan of a head; empty if it may be one.
        problem: Sentence that says why a possible scan cannot be read; empty if it can.
        findings: Findings for the user.
        frames: Frames of a single file in the order of the slices.
        rescales: Slope and intercept of each of that file's frames, if they differ.
    """

    uid: str
    files: tuple[Path, ...]
    tags: DicomTags
    part: str = ""
    grid: Grid | None = None
    excluded: str = ""
    problem: str = ""
    findings: tuple[Finding, ...] = ()
    frames: tuple[int, ...] = ()
    rescales: tuple[tuple[float, ...], ...] = ()

    @property
    def name(self) -> str:
        """Readable name: number, and description or else protocol."""
        title = self.tags.description or self.tags.protocol or "without a description"
        number = "" if self.tags.series_number is None else f"{self.tags.series_number} "
        return f"{number}“{title}”" + (f" ({self.part})" if self.part else "")

    @property
    def folder(self) -> Path:
        """Innermost folder that holds all files."""
        return Path(os.path.commonpath([file.parent for file in self.files]))


def find_series(folder: Path) -> list[DicomSeries]:
    """Find the DICOM series in a folder and all folders below.

    Args:
        folder: Folder of one patient; files other than DICOM are ignored.

    Returns:
        Series in the order of their numbers.

    Raises:
        UnreadableImageError: If an MR image is damaged.
        MixedPatientsError: If the files belong to several patients.
    """
    headers = [header for file in files_below(folder) if (header := read_header(file)) is not None]
    check_one_person(header.tags for header in headers)
    # Anonymized series may have lost their UIDs.
    by_series: dict[tuple[str, int | None], list[DicomHeader]] = defaultdict(list)
    for header in headers:
        by_series[header.series_uid, header.tags.series_number].append(header)
    series = [volume for members in by_series.values() for volume in _volumes(members)]
    return sorted(series, key=lambda volume: (volume.tags.series_number or 0, volume.uid, volume.part))


def read_series(series: DicomSeries) -> Scan:
    """Read the volume of a series, rescaled by its files' slopes and intercepts.

    Args:
        series: Series from `find_series`.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
        UnusableImageError: If the series is not a scan, lacks a slice, or has no finite, varying values.
    """
    source = f"{series.folder}: series {series.name}"
    if series.grid is None:
        raise UnusableImageError(f"{source} cannot be used. {series.excluded or series.problem}", "Choose another.")
    array = read_frames(series.files[0], series.rescales) if series.rescales else read_slices(series.files)
    image = series.grid.image(array[list(series.frames)] if series.frames else array)
    digest = hashlib.sha256("".join(map(sha256_of, series.files)).encode())
    return as_scan(image, source, digest.hexdigest())


def _volumes(headers: list[DicomHeader]) -> list[DicomSeries]:
    """Return the volumes of one series, or the reason why there are none."""
    headers = sorted(headers, key=lambda header: (header.instance, header.file))
    series = DicomSeries(headers[0].series_uid, tuple(h.file for h in headers), headers[0].tags)
    reason = why_excluded(headers)
    if reason:
        return [replace(series, excluded=reason)]
    if not all(len(header.positions) and len(header.orientation) == 2 for header in headers):
        return [replace(series, problem="Its files do not state the positions of their slices.")]
    if problem := next((header.problem for header in headers if header.problem), ""):
        return [replace(series, problem=problem)]
    single = [header for header in headers if len(header.positions) == 1]
    multiple = [header for header in headers if len(header.positions) > 1]
    files = [single] if single else []
    return [_volume(stack) for images in (*(h.of_frames() for h in multiple), *files) for stack in stacks_of(images)]


def _volume(stack: Stack) -> DicomSeries:
    """Return the volume of single slices or of one file's frames, which are sorted here."""
    headers, first = stack.headers, stack.headers[0]
    series = DicomSeries(first.series_uid, tuple(dict.fromkeys(h.file for h in headers)), first.tags, stack.name)
    if len({header.size for header in headers}) > 1:
        return replace(series, problem="Its images differ in size.")
    places = by_place(headers)
    for same in places.values():
        if len(same) > 1 and not are_copies(same):
            names = ", ".join(header.image for header in same)
            return replace(
                series,
                problem=f"It holds different images of the same place, which nothing tells apart ({names}): if they "
                "are of several volumes, export or convert each on its own.",
            )
    sorted_headers = [same[0] for same in places.values()]
    series = replace(series, tags=sorted_headers[0].tags, findings=_order_finding(series, stack))
    if first.frame is None:
        series = replace(series, files=tuple(header.file for header in sorted_headers))
    else:
        frames = tuple(header.frame for header in sorted_headers if header.frame is not None)
        series = replace(series, frames=frames, rescales=first.rescales)
    repeated = len(headers) - len(sorted_headers)
    if repeated:
        number = "a slice" if repeated == 1 else f"{repeated} slices"
        text = f"Series {series.name} holds {number} twice; the copies were left out."
        series = replace(series, findings=(*series.findings, Finding("duplicate_slice", text)))
    return _placed(series, sorted_headers[0], np.concatenate([header.positions for header in sorted_headers]))


def _order_finding(series: DicomSeries, stack: Stack) -> tuple[Finding, ...]:
    """Return the warning about a volume that no tag tells from others of its series, if it is one."""
    if not stack.by_order:
        return ()
    text = f"No tag tells the volumes of series {series.name} apart; they were separated by the order of their images."
    return (Finding("separated_by_order", text),)


def _placed(series: DicomSeries, header: DicomHeader, positions: NDArray[np.float64]) -> DicomSeries:
    """Add the grid of slices at sorted positions (n, 3), or the problem that prevents one."""
    if len(positions) < FEWEST_SLICES:
        return replace(series, excluded=f"It has only {len(positions)} slices.")
    if min(header.pixel_spacing) <= 0:
        return replace(series, problem="Its files do not state the size of their pixels.")
    row, column = (axis / np.linalg.norm(axis) for axis in header.orientation)
    normal = np.cross(row, column)
    heights = (positions - positions[0]) @ normal
    steps = np.diff(heights)
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > max(_UNEVEN * usual, _UNEVEN_MM))
    if len(uneven):
        k = int(uneven[0])
        where = f"between slices {k + 1} and {k + 2} of {len(positions)}"
        if not series.frames:
            where += f" ({series.files[k].name} and {series.files[k + 1].name})"
        problem = f"Slices are missing or unevenly spaced: {steps[k]:.4g} instead of {usual:.4g} mm {where}."
        return replace(series, problem=problem)
    aside = np.linalg.norm(positions - positions[0] - heights[:, None] * normal, axis=1).max()
    if aside > 0.5 * min(header.pixel_spacing):
        return replace(series, problem=f"Its slices are shifted against each other by up to {aside:.3g} mm.")
    x, y, z = (float(value) for value in positions[0])
    grid = Grid(
        size=(*header.size, len(positions)),
        spacing=(*header.pixel_spacing, float(heights[-1] / (len(positions) - 1))),
        origin=(x, y, z),
        direction=tuple(np.stack([row, column, normal], axis=1).ravel().tolist()),
    )
    return replace(series, grid=grid, findings=(*series.findings, *_sparse_finding(series, header, usual)))


def _sparse_finding(series: DicomSeries, header: DicomHeader, step: float) -> list[Finding]:
    """Return the warning about slices that are a multiple of the stated distance apart, if they are.

    Args:
        series: Series of the slices.
        header: Header of one of them.
        step: Distance between slices, in mm.
    """
    stated = header.slice_spacing
    times = round(step / stated) if stated else 0
    # Some scanners state the gap instead, which is smaller than the slice.
    if times < 2 or stated < _OVERLAPPING * header.thickness or abs(step - times * stated) > _UNEVEN * step:
        return []
    text = f"Series {series.name} has slices {step:.4g} mm apart, although its files state {stated:.4g} mm"
    return [Finding("missing_slices", f"{text}; {times - 1} of {times} slices seem to be missing.")]
