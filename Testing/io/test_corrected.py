"""Corrected regions in place of those of a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.errors import OutputError, UnusableImageError
from tokenunet.core.grid import Grid
from tokenunet.io.corrected import put_back_dicom, save_corrected

GRID = Grid((20, 24, 10), (1, 1, 2), (-10, -12, 3), (1, 0, 0, 0, 1, 0, 0, 0, 1))
COARSE = Grid((10, 12, 10), (2, 2, 2), (-9.5, -11.5, 3), (1, 0, 0, 0, 1, 0, 0, 0, 1))
CHANGE = {"added_ml": 0.1, "removed_ml": 0.0}
DERIVED = ["key_slice_1.dcm", "key_slice_2.dcm", "report.html", "segmentation.dcm"]
EDITS = [{"time": "2026-11-29T14:02:11+00:00", "regions": {"WT": CHANGE, "ET": CHANGE}}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result without a tumor, with FLAIR 4 mm away, and a file of the user's."""
    for name, grid in (("labels", GRID), ("labels_T2", COARSE), ("labels_FLAIR", GRID)):
        sitk.WriteImage(grid.image(np.zeros(grid.size[::-1], np.uint8)), tmp_path / f"{name}.nii.gz")
    (tmp_path / "transforms").mkdir()
    sitk.WriteTransform(sitk.TranslationTransform(3, (4.0, 0.0, 0.0)), tmp_path / "transforms" / "FLAIR.tfm")
    for name in ("segmentation.seg.nrrd", *DERIVED, "mine.txt", "run.json"):
        (tmp_path / name).write_text("before")
    return tmp_path


def report() -> dict[str, Any]:
    return {"labels": {"ET": 3}, "outputs": ["labels.nii.gz", "segmentation.dcm"], "edits": EDITS}


def regions() -> np.ndarray:
    voxels = np.zeros((3, *GRID.size[::-1]), bool)
    voxels[:, 2:6, 8:14, 6:12] = True
    return voxels


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def test_save_corrected_replaces_all_grids_and_marks_them(folder: Path) -> None:
    assert save_corrected(folder, regions(), report()) == DERIVED
    np.testing.assert_array_equal(read(folder / "labels.nii.gz"), 3 * regions()[0])
    assert sitk.ReadImage(folder / "labels.nii.gz").GetMetaData("descrip") == "edited by hand 2026-11-29: WT ET"
    coarse = np.zeros(COARSE.size[::-1], bool)
    coarse[2:6, 4:7, 3:6] = True
    np.testing.assert_array_equal(read(folder / "labels_T2.nii.gz"), 3 * coarse)
    np.testing.assert_array_equal(read(folder / "labels_FLAIR.nii.gz"), np.roll(3 * regions()[0], 4, axis=2))
    segments = sitk.ReadImage(folder / "segmentation.seg.nrrd")
    np.testing.assert_array_equal(np.moveaxis(sitk.GetArrayFromImage(segments), -1, 0), regions())
    marked = ["TokenUNet.Edited:2026-11-29|" in segments.GetMetaData(f"Segment{n}_Tags") for n in range(3)]
    assert marked == [True, False, True]
    saved = json.loads((folder / "run.json").read_text())
    assert saved == report() | {"outputs": ["labels.nii.gz"]}
    (folder / "run.json").write_text(json.dumps(saved | {"report_patient": "Anna"}))
    save_corrected(folder, regions(), report())
    assert json.loads((folder / "run.json").read_text())["report_patient"] == "Anna"
    assert not [name for name in DERIVED if (folder / name).exists()]
    assert (folder / "mine.txt").read_text() == "before"
    assert not list(folder.glob(".*"))


def test_save_corrected_refuses_another_grid_and_changes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UnusableImageError, match="has \\(20, 24, 10\\) voxels"):
        save_corrected(folder, regions()[:, 1:], report())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_save_corrected_leaves_the_result_of_a_later_run_alone(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps(report() | {"started": "2026-12-01"}))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="another run"):
        save_corrected(folder, regions(), report() | {"started": "2026-11-29"})
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_put_back_dicom_replaces_what_was_removed_and_adds_no_other(folder: Path) -> None:
    removed = save_corrected(folder, regions(), report())
    made = folder / "made"
    made.mkdir()
    for name in ("segmentation.dcm", "measurements.dcm", "key_slice_1.dcm"):
        (made / name).write_text("new")
    put_back_dicom(folder, made, removed)
    there = sorted(path.name for path in folder.glob("*") if path.is_file() and path.read_text("latin1") == "new")
    assert there == ["key_slice_1.dcm", "segmentation.dcm"]
    assert json.loads((folder / "run.json").read_text())["outputs"] == sorted(["labels.nii.gz", *there])
