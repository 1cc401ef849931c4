import gzip
import os
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scan_fixtures import GRID, REAL_PATIENT, needs_real_patient, study, write_study
from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, UnreadableImageError, UnusableImageError
from tokenunet.core.sequences import SEQUENCES
from tokenunet.study.image_files import read_image
from tokenunet.study.scans import find_sequences, read_scan, read_study

VALUES = np.random.default_rng(0).integers(0, 1000, (20, 24, 28)).astype(np.int16)


def image(values: np.ndarray = VALUES) -> sitk.Image:
    return sitk.GetImageFromArray(values)


def test_the_four_are_found_by_name_among_other_files(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    for other in ("patient_seg.nii.gz", "labels_T2.nii.gz", "t1_mask.nrrd", "._patient_t1.nii.gz", "t1.txt"):
        (tmp_path / other).touch()
    (tmp_path / "t2.nii").mkdir()
    assert find_sequences(tmp_path) == paths


def test_a_missing_sequence_is_named_with_what_is_there(tmp_path: Path) -> None:
    write_study(tmp_path)["FLAIR"].unlink()
    with pytest.raises(MissingSequenceError, match=r"named after FLAIR; it holds patient_t1.nii.gz, ") as caught:
        find_sequences(tmp_path)
    assert caught.value.hint == "Put the scans there, named as t1, t1ce, t2, flair."
    assert set(find_sequences(tmp_path, without=("FLAIR",))) == {"T1", "T1ce", "T2"}


def test_two_candidates_for_a_sequence_are_both_named(tmp_path: Path) -> None:
    write_study(tmp_path)
    (tmp_path / "again_t1gd.nrrd").touch()
    with pytest.raises(AmbiguousSequenceError, match=r"again_t1gd.nrrd and patient_t1ce.nii.gz .* look like T1ce"):
        find_sequences(tmp_path)


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(MissingSequenceError, match="no folder"):
        find_sequences(tmp_path / "none")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
def test_every_format_is_read_whole(tmp_path: Path, ending: str, compressed: bool) -> None:
    path = tmp_path / f"scan.{ending}"
    sitk.WriteImage(image(), path, compressed)
    scan = read_scan(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), VALUES)
    assert scan.image.GetPixelID() == sitk.sitkFloat32


@pytest.mark.parametrize("kept", [0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, compressed: bool, kept: float) -> None:
    path = tmp_path / f"scan.{ending}"
    sitk.WriteImage(image(), path, compressed)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UnreadableImageError, match=f"scan.{ending}"):
        read_scan(path)


@pytest.mark.parametrize("ending", ["nhdr", "mhd"])
def test_truncated_data_beside_a_header_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scan.{ending}"
    sitk.WriteImage(image(), path)
    data = path.with_suffix(".raw")
    data.write_bytes(data.read_bytes()[:9999])
    with pytest.raises(UnreadableImageError, match=f"scan.{ending}"):
        read_scan(path)


def test_a_file_cut_before_it_was_compressed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(image(), path)
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[: len(whole) // 2]))
    with pytest.raises(UnreadableImageError, match="cut off"):
        read_scan(path)


def test_a_damaged_byte_in_a_compressed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(image(), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError):
        read_scan(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_whole_numbers_with_a_scale_in_the_header_are_read(tmp_path: Path, ending: str) -> None:
    plain, path = tmp_path / "plain.nii", tmp_path / f"scan.{ending}"
    sitk.WriteImage(image(), plain)
    data = bytearray(plain.read_bytes())
    data[112:116] = struct.pack("<f", 0.5)  # scl_slope
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    np.testing.assert_allclose(sitk.GetArrayFromImage(read_scan(path).image), VALUES * 0.5)


def test_text_and_absent_files_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text.nii").write_text("hello")
    for name in ("text.nii", "absent.nii"):
        with pytest.raises(UnreadableImageError, match=name):
            read_scan(tmp_path / name)


def with_value(value: float) -> sitk.Image:
    values = VALUES.astype(np.float32)
    values[10, 10, 10] = value
    return image(values)


def with_spacing(x: float, y: float, z: float, values: np.ndarray = VALUES) -> sitk.Image:
    spaced = image(values)
    spaced.SetSpacing((x, y, z))
    return spaced


UNUSABLE: dict[str, tuple[Callable[[], sitk.Image], str]] = {
    "2-D": (lambda: image()[:, :, 5], "2 dimensions"),
    "4-D": (lambda: sitk.JoinSeries([image(), image()]), "4 dimensions"),
    "one slice": (lambda: image()[:, :, 5:6], "only 28 x 24 x 1 voxels"),
    "RGB": (lambda: sitk.Compose([sitk.Cast(image(), sitk.sitkUInt8)] * 3), "3 values per voxel"),
    "complex": (lambda: image(VALUES.astype(np.complex64)), "complex"),
    "NaN": (lambda: with_value(np.nan), "NaN or Inf"),
    "Inf": (lambda: with_value(-np.inf), "NaN or Inf"),
    "empty": (lambda: image(np.zeros_like(VALUES)), "empty: every voxel is 0"),
    "constant": (lambda: image(np.full_like(VALUES, 7)), "constant: every voxel is 7"),
    "mask": (lambda: image((VALUES > 500) * np.float32(100)), "only 2 different values, as a mask or label map"),
    "label map": (lambda: image((VALUES // 250).astype(np.int8)), "only 4 different values"),
    "meters": (lambda: with_spacing(0.001, 0.001, 0.001), "0.001 x 0.001 x 0.001 mm"),
    "huge voxels": (lambda: with_spacing(1, 1, 100), "1 x 1 x 100 mm"),
    "huge field of view": (
        lambda: with_spacing(1, 2, 15, np.tile(VALUES, (3, 1, 1))),
        "field of view of 28 x 48 x 900 mm",
    ),
}


@pytest.mark.parametrize(("make", "says"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_is_no_scan_is_refused_with_its_name_and_reason(
    tmp_path: Path, make: Callable[[], sitk.Image], says: str
) -> None:
    path = tmp_path / "scan.nii"
    sitk.WriteImage(make(), path)
    with pytest.raises(UnusableImageError, match=says) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_nan_around_what_is_shown_is_background(tmp_path: Path) -> None:
    values = VALUES.astype(np.float32)
    values[:3] = np.nan
    values[:, :, -1] = np.nan
    sitk.WriteImage(image(values), tmp_path / "scan.nii.gz")
    read = sitk.GetArrayFromImage(read_scan(tmp_path / "scan.nii.gz").image)
    np.testing.assert_array_equal(read, np.nan_to_num(values))


def sheared(path: Path, shear: float) -> Path:
    """A file that is placed by an affine matrix alone, with y axes that lean toward x."""
    sitk.WriteImage(image(VALUES.astype(np.float32)), path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<3f", data, 80, 1, 2, 3)
    struct.pack_into("<hh", data, 252, 0, 2)
    struct.pack_into("<12f", data, 280, -1, 2 * shear, 0, 40, 0, -2, 0, 50, 0, 0, 3, -60)
    path.write_bytes(data)
    return path


def test_axes_nearly_at_right_angles_are_made_so(tmp_path: Path) -> None:
    read = read_scan(sheared(tmp_path / "scan.nii", 0.003)).image
    assert read.GetOrigin() == pytest.approx((-40, -50, -60))
    assert read.GetSpacing() == pytest.approx((1, 2, 3), abs=0.01)
    np.testing.assert_allclose(np.reshape(read.GetDirection(), (3, 3)), np.eye(3), atol=0.003)
    with pytest.raises(UnusableImageError, match=r"axes that are 2\.9° from right angles"):
        read_scan(sheared(tmp_path / "scan.nii", 0.05))


def test_a_nifti_that_does_not_say_how_it_lies_in_space_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    sitk.WriteImage(image(), path)
    assert read_scan(path).placed
    data = bytearray(path.read_bytes())
    data[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(data)
    assert not read_scan(path).placed


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_not_utf_8_is_said_and_does_not_end_the_process(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.nii"))
    path.touch()
    with pytest.raises(UnreadableImageError, match="not UTF-8"):
        read_scan(path)


def test_a_series_of_one_volume_is_a_volume(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.JoinSeries([image()]), tmp_path / "scan.nii.gz")
    assert read_scan(tmp_path / "scan.nii.gz").image.GetSize() == (28, 24, 20)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (2.0, 0.0), (1.01, 1.0)])
def test_the_same_content_for_two_sequences_is_refused(tmp_path: Path, scale: float, offset: float) -> None:
    paths = write_study(tmp_path)
    copy = tmp_path / "copy.nrrd"  # another format, so another file, with the same voxels
    sitk.WriteImage(sitk.ReadImage(paths["T1"]) * scale + offset, copy)
    with pytest.raises(AmbiguousSequenceError, match=r"T1 and T2 are the same image .*patient_t1.nii.gz.*copy.nrrd"):
        read_study(paths | {"T2": copy})


def test_a_study_needs_all_four(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    del paths["T2"]
    with pytest.raises(MissingSequenceError, match="T2"):
        read_study(paths)


def test_a_study_keeps_values_places_and_sources(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    read = read_study(paths)
    for sequence in SEQUENCES:
        scan = read.scans[sequence]
        assert scan.source == str(paths[sequence])
        assert scan.image.GetSize() == GRID.size
        np.testing.assert_allclose(scan.image.GetOrigin(), GRID.origin)
        expected = sitk.GetArrayFromImage(study().scans[sequence].image).astype(np.int16)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), expected)


@needs_real_patient
@pytest.mark.parametrize("copy", ["raw", "brats_space"])
def test_a_real_patient_is_found_and_read(copy: str) -> None:
    read = read_study(find_sequences(REAL_PATIENT / copy))
    assert list(read.scans) == list(SEQUENCES)


def test_only_one_file_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading: list[bool] = []
    overlapped: list[bool] = []

    def read(path: Path) -> sitk.Image:
        overlapped.append(bool(reading))
        reading.append(True)
        time.sleep(0.02)
        reading.pop()
        return sitk.Image(8, 8, 8, sitk.sitkFloat32)

    monkeypatch.setattr(sitk, "ReadImage", read)
    (tmp_path / "any.nrrd").touch()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read_image, [tmp_path / "any.nrrd"] * 8))
    assert overlapped == [False] * 8
