"""NIfTI headers that place a scan twice, and pairs of header and voxels."""

import struct
from pathlib import Path

import pytest
import SimpleITK as sitk
from scan_fixtures import study, write_study
from tokenunet.study.find import find_study
from tokenunet.study.scans import read_scan


def with_sform(path: Path, codes: tuple[int, int], row: int, by: float) -> Path:
    """Change a translation of a NIfTI file's sform, by mm, and both codes."""
    data = bytearray(path.read_bytes())
    rows = list(struct.unpack_from("<12f", data, 280))
    rows[row] += by
    struct.pack_into("<2h", data, 252, *codes)
    struct.pack_into("<12f", data, 280, *rows)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("codes", "row", "by"), [((1, 2), 3, 15), ((1, 1), 7, -4), ((2, 4), 11, 30)])
def test_read_scan_names_both_placements(tmp_path: Path, codes: tuple[int, int], row: int, by: float) -> None:
    path = tmp_path / "t2.nii"
    sitk.WriteImage(study().scans["T2"].image, path)
    assert read_scan(path).findings == ()
    (finding,) = read_scan(with_sform(path, codes, row, by)).findings
    assert finding.code == "placements_disagree"
    for words in (str(path), f"{abs(by)} mm", f"qform (code {codes[0]})", f"sform (code {codes[1]})"):
        assert words in finding.message


def test_read_scan_of_one_placement_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t2.nii"
    sitk.WriteImage(study().scans["T2"].image, path)
    assert read_scan(with_sform(path, (0, 2), 3, 15)).findings == ()


def test_read_scan_of_slight_shear_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t2.nii"
    sitk.WriteImage(study().scans["T2"].image, path)
    read_scan(with_sform(path, (0, 1), 1, 0.006))
    assert capfd.readouterr() == ("", "")


def test_find_study_takes_pairs_of_header_and_voxels(tmp_path: Path) -> None:
    expected = {}
    for sequence, path in write_study(tmp_path).items():
        expected[sequence] = path.with_name(f"{sequence}.img")
        sitk.WriteImage(sitk.ReadImage(path), expected[sequence])
        path.unlink()
    found = find_study(tmp_path)
    assert {s: scan.place for s, scan in found.scans.items()} == expected
    assert found.read().reference == "T1ce"
