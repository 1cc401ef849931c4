"""NIfTI headers that ITK reads by guesses, compressed files named as others, and NaN in the background."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.background import foreground
from tokenunet.core.errors import UnreadableImageError, UnusableImageError
from tokenunet.study.scans import read_scan

VALUES = np.random.default_rng(0).normal(0, 100, (12, 24, 20)).astype(np.float32)
NAN = float("nan")


def write(path: Path, values: np.ndarray = VALUES) -> Path:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.1, 0.9, 5.5))
    sitk.WriteImage(image, path)
    return path


def packed(path: Path, offset: int, layout: str, *values: object) -> Path:
    """Change values of a file's header, which is compressed or not."""
    compressed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if compressed else path.read_bytes())
    struct.pack_into("<" + layout, data, offset, *values)
    path.write_bytes(gzip.compress(data) if compressed else data)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("offset", "layout", "values", "says"),
    [
        (80, "3f", (0, 0, 0), "voxels of 0 x 0 x 0 mm"),
        (84, "f", (-0.9,), "voxels of 1.1 x -0.9 x 5.5 mm"),
        (88, "f", (NAN,), "voxels of 1.1 x 0.9 x nan mm"),
        (280, "f", (NAN,), r"NaN or Inf \(sform"),
        (308, "f", (float("inf"),), r"NaN or Inf \(sform"),
        (268, "f", (NAN,), r"NaN or Inf \(qform"),
    ],
)
def test_read_scan_refuses_invalid_headers(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    ending: str,
    offset: int,
    layout: str,
    values: tuple[float, ...],
    says: str,
) -> None:
    path = packed(write(tmp_path / f"t1{ending}"), offset, layout, *values)
    with pytest.raises(UnusableImageError, match=says) as caught:
        read_scan(path)
    assert str(path) in str(caught.value) and caught.value.hint
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("offset", [0.0, 348.0, -500.0, NAN])
def test_read_scan_refuses_voxels_inside_of_the_header(tmp_path: Path, offset: float) -> None:
    with pytest.raises(UnreadableImageError, match="begin inside of its header"):
        read_scan(packed(write(tmp_path / "t1.nii"), 108, "f", offset))


@pytest.mark.parametrize("magic", [b"\0\0\0\0", b"ni1\0", b"abc\0"])
def test_read_scan_refuses_other_files_named_nifti(tmp_path: Path, magic: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="not a NIfTI file, although it is named as one"):
        read_scan(packed(write(tmp_path / "t1.nii"), 344, "4s", magic))


@pytest.mark.parametrize(("code", "row"), [(252, 268), (254, 280)])
def test_read_scan_ignores_placements_that_are_not_used(tmp_path: Path, code: int, row: int) -> None:
    path = packed(packed(write(tmp_path / "t1.nii"), code, "h", 0), row, "f", NAN)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_scan(path).image), VALUES)


@pytest.mark.parametrize(("written", "named"), [(".nii", ".nii.gz"), (".nii.gz", ".nii"), (".nii.gz", ".NII")])
def test_read_scan_goes_by_the_content_of_compressed_files(tmp_path: Path, written: str, named: str) -> None:
    path = write(tmp_path / f"scan{written}").rename(tmp_path / f"t1{named}")
    scan = read_scan(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), VALUES)
    assert scan.source == str(path)


def test_read_scan_names_damaged_compressed_files_of_other_names(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii.gz").rename(tmp_path / "t1.nii")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableImageError, match=r"t1\.nii is damaged or cut off"):
        read_scan(path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("lowest", [-1000.0, 0.0, 20.0])
def test_read_scan_takes_nan_as_background(tmp_path: Path, ending: str, lowest: float) -> None:
    values = VALUES - VALUES.min() + lowest
    shown = np.zeros(values.shape, bool)
    shown[2:-2, 3:-3, 3:-3] = True
    values[~shown] = np.nan
    read = sitk.GetArrayFromImage(read_scan(write(tmp_path / f"t1{ending}", values)).image)
    np.testing.assert_allclose(read[shown], values[shown], rtol=1e-6)
    assert len(np.unique(read[~shown])) == 1
    assert (foreground(read) != shown).sum() <= 1, "only a voxel that is 0 itself looks like background"


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_read_scan_refuses_nan_inside_and_inf(tmp_path: Path, ending: str, value: float) -> None:
    values = VALUES.copy()
    values[6, 12, 10] = value
    with pytest.raises(UnusableImageError, match="NaN or Inf"):
        read_scan(write(tmp_path / f"t1{ending}", values))
