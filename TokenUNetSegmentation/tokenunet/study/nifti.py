"""Checks of NIfTI files beyond ITK's reader.

ITK reads missing data, NaN and Inf as 0 without a warning, and refuses axes with a slight shear.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError, UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.study.nifti_header import GZIP

_FLOAT_TYPES = {"16": "f4", "64": "f8"}
"""NumPy's names of NIfTI's floating-point ``datatype`` codes."""

_SAME_PLACEMENT_MM = 0.5
"""Distance of a corner up to which qform and sform count as the same."""

_MOST_SHEAR_DEGREES = 0.5
"""Upper limit of the axes' deviation from right angles; it moves a brain's surface by less than a millimeter."""


def read_sheared(path: Path) -> sitk.Image:
    """Read a NIfTI file whose axes are not exactly at right angles, with the nearest axes that are.

    Args:
        path: File that ITK refuses because its axes are sheared.

    Raises:
        UnusableImageError: If the axes are far from right angles.
        RuntimeError: If SimpleITK cannot read the file.
    """
    with _permissive():
        image = sitk.ReadImage(path)
    rows = [[float(number) for number in image.GetMetaData(f"srow_{axis}").split()[:3]] for axis in "xyz"]
    axes = np.array(rows) / np.linalg.norm(rows, axis=0)
    cosines = axes.T @ axes - np.eye(3)
    shear = float(np.degrees(np.arcsin(np.abs(cosines).max())))
    if shear > _MOST_SHEAR_DEGREES:
        raise UnusableImageError(
            f"{path} has axes that are {shear:.1f}° from right angles.",
            "It is the result of an affine registration: resample it onto a grid with right angles first.",
        )
    return image


@contextmanager
def _permissive() -> Iterator[None]:
    """Let ITK read axes that are not at right angles."""
    name = "ITK_NIFTI_SFORM_PERMISSIVE"
    before = os.environ.get(name)
    os.environ[name] = "ON"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def placement_finding(image: sitk.Image, source: str) -> Finding | None:
    """Return a warning if qform and sform of a NIfTI header differ.

    Args:
        image: Image as SimpleITK read it, with the header as metadata; of any format.
        source: Where it came from, for the message.
    """
    header = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    if not all(float(header.get(code, 0)) > 0 for code in ("qform_code", "sform_code")):
        return None
    try:
        sform = _sform(header)
        qform = _qform(header, sform)
    except (KeyError, ValueError):
        return None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.GetSize()[:3]])).reshape(3, -1)
    apart = np.linalg.norm((qform - sform) @ np.vstack([corners, np.ones(corners.shape[1])]), axis=0).max()
    if not apart > _SAME_PLACEMENT_MM:
        return None
    x, y, z = image.GetOrigin()[:3]
    origin = np.array([-x, -y, z])
    distances = {name: np.linalg.norm(m[:, 3] - origin) for name, m in (("qform", qform), ("sform", sform))}
    axes = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:3, :3] * image.GetSpacing()[:3]
    for name, matrix in (("qform", qform), ("sform", sform)):
        distances[name] += np.abs(np.diag([-1, -1, 1]) @ axes - matrix[:, :3]).sum()
    taken, other = sorted(distances, key=lambda name: distances[name])

    def described(name: str) -> str:
        matrix = {"qform": qform, "sform": sform}[name]
        return f"{name} (code {header[f'{name}_code']}), first voxel at {np.round(matrix[:, 3], 1).tolist()} mm"

    return Finding(
        "placements_disagree",
        f"{source} has two placements, up to {apart:.3g} mm apart: {described('qform')}, and "
        f"{described('sform')}, in RAS. The {taken} was used; if the result does not fit the scan in another program, "
        f"that one uses the {other}: make them equal first.",
    )


def _sform(header: dict[str, str]) -> NDArray[np.float64]:
    """Return the header's sform, (3, 4), from voxel indices to RAS mm."""
    return np.array([[float(number) for number in header[f"srow_{axis}"].split()] for axis in "xyz"]).reshape(3, 4)


def _qform(header: dict[str, str], like: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the header's qform, (3, 4), from voxel indices to RAS mm.

    Args:
        header: Metadata of SimpleITK, which leaves out the sign of the third axis.
        like: Matrix whose handedness it gets.
    """
    b, c, d = (float(header[f"quatern_{axis}"]) for axis in "bcd")
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    spacing = np.array([float(header[f"pixdim[{axis}]"]) for axis in (1, 2, 3)])
    axes = rotation * spacing
    if np.linalg.det(like[:, :3]) < 0:
        axes[:, 2] *= -1
    return np.column_stack([axes, [float(header[f"qoffset_{axis}"]) for axis in "xyz"]])


def stored_values(path: Path, image: sitk.Image) -> NDArray[np.floating] | None:
    """Return the values of a NIfTI file as stored, of which ITK reads NaN and Inf as 0.

    Args:
        path: NIfTI file, compressed or not.
        image: Image as SimpleITK read it, with the header as metadata.

    Returns:
        Values in the shape of the image's array; None if they are whole numbers.

    Raises:
        UnreadableImageError: If data are missing, or the compressed stream is damaged.
    """
    try:
        data = path.read_bytes()
        if data.startswith(GZIP):  # like the reader, judge by the content and not by the name
            data = gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableImageError(f"{path} is damaged or cut off.", "Copy or export it again.") from error
    values = image.GetNumberOfPixels()
    start = int(float(image.GetMetaData("vox_offset")))
    if len(data) < start + values * int(image.GetMetaData("bitpix")) // 8:
        raise UnreadableImageError(f"{path} is cut off.", "Copy or export it again.")
    float_type = _FLOAT_TYPES.get(image.GetMetaData("datatype"))
    if not float_type:
        return None
    byte_order = "<" if data[0] else ">"  # the header begins with its length, 348 or 540
    stored = np.frombuffer(data, byte_order + float_type, count=values, offset=start)
    return stored.reshape(image.GetSize()[::-1])
