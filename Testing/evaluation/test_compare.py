"""Two results of one patient: Dice and volumes per region, and where they differ."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from scan_fixtures import GRID
from tokenunet.cli import main
from tokenunet.core.errors import InputError
from tokenunet.core.grid import Grid
from tokenunet.evaluation.compare import compare_results


def ball(radius: float) -> NDArray[np.bool_]:
    z, y, x = np.indices(GRID.size[::-1])
    return (z - 25) ** 2 + (y - 27) ** 2 + (x - 23) ** 2 < radius**2


def write_result(folder: Path, labels: NDArray[np.uint8], model: str, grid: Grid = GRID) -> Path:
    folder.mkdir()
    sitk.WriteImage(grid.image(labels), folder / "labels.nii.gz")
    (folder / "run.json").write_text(json.dumps({"model": {"name": model}}))
    return folder


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    """The second marks less edema, no necrosis, and enhancing tumor as 3."""
    first = np.where(ball(12), 2, 0) - np.where(ball(8), 1, 0) + np.where(ball(5), 3, 0)
    second = np.where(ball(10), 2, 0) + np.where(ball(5), 1, 0)
    return (
        write_result(tmp_path / "a", first.astype(np.uint8), "One"),
        write_result(tmp_path / "b", second.astype(np.uint8), "Another"),
    )


def test_comparison_has_dice_volumes_and_difference(results: tuple[Path, Path]) -> None:
    comparison = compare_results(*results)
    assert comparison.models == ("One", "Another")
    whole, core, enhancing = (comparison.regions[name] for name in ("WT", "TC", "ET"))
    sizes = [int(ball(radius).sum()) for radius in (12, 10, 8, 5)]
    assert whole.dice == pytest.approx(2 * sizes[1] / (sizes[0] + sizes[1]))
    assert core.dice == pytest.approx(2 * sizes[3] / (sizes[2] + sizes[3]))
    assert enhancing.dice == 1
    assert whole.volumes_ml == pytest.approx([size * 0.027 for size in sizes[:2]], abs=1e-3)
    expected = ball(12) & ~ball(10) | ball(8) & ~ball(5)
    np.testing.assert_array_equal(comparison.difference.array, expected.astype(np.float32))


def test_compare_prints_a_table_and_writes_the_map(
    results: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", *map(str, results), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    assert main(command) == 6, "an earlier comparison is replaced only if that is asked for"
    assert main([*command, "--force"]) == 0
    text, said = capsys.readouterr()
    assert "different scans" not in said
    assert "A: One" in text
    assert "enhancing tumor   1.000" in text
    assert json.loads((tmp_path / "out/comparison.json").read_text())["regions"]["ET"]["dice"] == 1
    image = sitk.ReadImage(tmp_path / "out/overlays/difference/difference.nii.gz")
    assert Grid.of(image).same_as(GRID)
    assert main(["compare", str(results[0]), str(tmp_path)]) == 3
    for folder in results:
        report = {"inputs": {"T1": {"sha256": folder.name}}}
        (folder / "run.json").write_text(json.dumps(report))
    assert main(["compare", *map(str, results)]) == 0
    assert "were segmented from different scans" in capsys.readouterr().err


def test_results_on_other_grids_are_compared_where_they_are(results: tuple[Path, Path], tmp_path: Path) -> None:
    """A flipped copy is the same; one of another place is of another patient."""
    labels = sitk.ReadImage(results[0] / "labels.nii.gz")
    flipped = sitk.DICOMOrient(labels, "RAS")
    other = write_result(tmp_path / "c", sitk.GetArrayFromImage(flipped), "Flipped", Grid.of(flipped))
    assert all(region.dice == 1 for region in compare_results(results[0], other).regions.values())
    far = replace(GRID, origin=(500.0, 0.0, 0.0))
    elsewhere = write_result(tmp_path / "d", sitk.GetArrayFromImage(labels), "Elsewhere", far)
    with pytest.raises(InputError, match="not of the same images"):
        compare_results(results[0], elsewhere)


def test_regions_that_either_result_does_not_mark_are_left_out(results: tuple[Path, Path]) -> None:
    """Without T1ce, no enhancing tumor is no finding."""
    report = {"model": {"name": "Another"}, "not_segmented": ["ET", "NCR"]}
    (results[1] / "run.json").write_text(json.dumps(report))
    comparison = compare_results(*results)
    assert set(comparison.regions) == {"WT", "TC"}
    assert "enhancing tumor   not marked in both results" in comparison.to_text()
