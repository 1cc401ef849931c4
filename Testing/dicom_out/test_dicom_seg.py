"""DICOM segmentation objects, read back voxel by voxel and checked against the standard."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_checks import complaints, needs_dciodvfy
from dicom_fixtures import MADE, PATIENT_ID, PATIENT_NAME, write_dicom_study
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from highdicom.seg import Segmentation, segread
from numpy.typing import NDArray
from scan_fixtures import blobs, synthetic_images
from tokenunet.core.errors import GridMismatchError, OutputError, UnreadableImageError, UnusableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.dicom_out.export import DicomResult, write_segmentation
from tokenunet.study.dicom import DicomSeries, find_series
from tokenunet.study.find import find_study

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.of(synthetic_images()["T1ce"])


@pytest.fixture(scope="module")
def regions(grid: Grid) -> NDArray[np.bool_]:
    return blobs(grid) > 0.5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of T1ce, in the order of the grid's slices."""
    return write_dicom_study(tmp_path_factory.mktemp("study"))["T1ce"]


def scan_of(grid: Grid) -> sitk.Image:
    return grid.image(np.zeros(grid.size[::-1], np.float32))


def write(regions: NDArray[np.bool_], grid: Grid, files: list[Path], path: Path) -> Segmentation:
    write_segmentation(DicomResult(scan_of(grid), regions, files, "Tiny Token-UNet", "1.2", MADE), path)
    assert [p.name for p in path.parent.iterdir() if p.is_file()] == [path.name], "nothing unfinished stays behind"
    return segread(path)


def voxels(segmentation: Segmentation, files: list[Path]) -> NDArray[np.bool_]:
    """(3, z, y, x), by the slices that the frames refer to."""
    uids = [pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files]
    frames = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    return np.moveaxis(frames > 0, -1, 0)


def voxels_in_space(segmentation: Segmentation, grid: Grid) -> NDArray[np.bool_]:
    """(3, z, y, x), by the places that the frames say they have."""
    found = np.zeros((3, *grid.size[::-1]), bool)
    to_index = np.linalg.inv(grid.index_to_lps)
    for frame, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True):
        x, y, z, _ = to_index @ (*frame.PlanePositionSequence[0].ImagePositionPatient, 1)
        assert (round(x), round(y)) == (0, 0)
        found[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1, round(z)] = pixels
    return found


def oblique(grid: Grid) -> Grid:
    rotation = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.4).GetMatrix()
    return replace(grid, spacing=(0.9, 1.1, 3.3), direction=rotation, origin=(-61.7, -80.123, 12.3))


@pytest.mark.parametrize("place", ["axial", "oblique"])
@pytest.mark.parametrize("order", ["as the grid", "reversed", "shuffled"])
def test_every_voxel_comes_back_where_it_was(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path, place: str, order: str
) -> None:
    if place == "oblique":
        grid = oblique(grid)
        image = grid.image(sitk.GetArrayFromImage(synthetic_images()["T1ce"]))
        files = write_dicom_study(tmp_path / "study", images={"T1ce": image})["T1ce"]
    rearranged = {"as the grid": files, "reversed": files[::-1], "shuffled": sorted(files)}[order]
    segmentation = write(regions, grid, rearranged, tmp_path / "segmentation.dcm")
    np.testing.assert_array_equal(voxels(segmentation, files), regions)
    np.testing.assert_array_equal(voxels_in_space(segmentation, grid), regions)


def test_a_grid_that_runs_the_other_way_than_the_files_is_turned(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    turned = sitk.Flip(grid.image(regions[0].astype(np.uint8)), (False, False, True))
    segmentation = write(regions[:, ::-1], Grid.of(turned), files, tmp_path / "segmentation.dcm")
    np.testing.assert_array_equal(voxels(segmentation, files), regions)


def test_a_series_that_was_found_in_a_study_can_be_referred_to(files: list[Path], tmp_path: Path) -> None:
    series = find_study(files[0].parents[1]).scans["T1ce"].place
    assert isinstance(series, DicomSeries)
    assert series.grid is not None
    regions = blobs(series.grid) > 0.5
    segmentation = write(regions, series.grid, list(series.files), tmp_path / "segmentation.dcm")
    np.testing.assert_array_equal(voxels_in_space(segmentation, series.grid), regions)


def test_a_multi_frame_series_is_referred_to_frame_by_frame(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    frames = [pydicom.dcmread(file) for file in reversed(files)]
    enhanced = LegacyConvertedEnhancedMRImage(frames, highdicom.UID(), 1, highdicom.UID(), 1)
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "enhanced.dcm"
    enhanced.save_as(source)
    segmentation = write(regions, grid, [source], tmp_path / "segmentation.dcm")
    np.testing.assert_array_equal(voxels_in_space(segmentation, grid), regions)
    numbers = range(len(files), 0, -1)
    found = segmentation.get_pixels_by_source_frame(
        enhanced.SOPInstanceUID, numbers, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(np.moveaxis(found > 0, -1, 0), regions)


def test_it_says_whose_it_is_and_what_was_marked_by_what(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    segmentation = write(regions, grid, files, tmp_path / "segmentation.dcm")
    source = pydicom.dcmread(files[0])
    assert segmentation.SOPClassUID == SEGMENTATION_STORAGE
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.SegmentsOverlap == "YES"
    assert (segmentation.PatientID, segmentation.PatientName) == (PATIENT_ID, PATIENT_NAME)
    assert segmentation.StudyInstanceUID == source.StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert segmentation.SeriesInstanceUID != source.SeriesInstanceUID
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == len(files)
    for segment, name in zip(segmentation.SegmentSequence, REGIONS, strict=True):
        style = REGION_STYLES[name]
        assert segment.SegmentLabel == style.title
        kind = segment.segmented_property_type
        assert (kind.scheme_designator, kind.value, kind.meaning) == (
            style.code.scheme,
            style.code.value,
            style.code.meaning,
        )
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Tiny Token-UNet", "1.2")
        assert segment.AnatomicRegionSequence[0].CodeMeaning == "Brain"
        shown = highdicom.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
        np.testing.assert_allclose(np.divide(shown, 255), style.color, atol=0.01)


@needs_dciodvfy
@pytest.mark.parametrize("present", [(True, True, True), (True, True, False), (False, False, False)])
def test_the_object_keeps_to_the_standard_also_without_a_region_or_tumor(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path, present: tuple[bool, bool, bool]
) -> None:
    regions = regions & np.array(present)[:, None, None, None]
    segmentation = write(regions, grid, files, tmp_path / "segmentation.dcm")
    np.testing.assert_array_equal(voxels(segmentation, files), regions)
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == [
        REGION_STYLES[name].title for name in REGIONS
    ]
    assert complaints(tmp_path / "segmentation.dcm", "Segmentation") == []


@needs_dciodvfy
def test_the_checker_finds_what_is_wrong(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    segmentation = write(regions, grid, files, tmp_path / "segmentation.dcm")
    del segmentation.SegmentSequence[0].SegmentAlgorithmType
    segmentation.save_as(tmp_path / "broken.dcm")
    assert complaints(tmp_path / "broken.dcm", "Segmentation")


def test_an_anonymized_series_may_lack_what_is_known_of_the_patient(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    bare = edited(files, tmp_path / "bare", delete=("PatientName", "PatientBirthDate", "StudyID", "SeriesNumber"))
    segmentation = write(regions, grid, bare, tmp_path / "segmentation.dcm")
    assert segmentation.PatientName == ""
    np.testing.assert_array_equal(voxels(segmentation, bare), regions)


def edited(files: list[Path], folder: Path, delete: tuple[str, ...]) -> list[Path]:
    folder.mkdir()
    copies = []
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        for keyword in delete:
            delattr(dataset, keyword)
        copies.append(folder / f"{number}.dcm")
        dataset.save_as(copies[-1])
    return copies


def test_a_series_with_other_slices_is_refused(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "segmentation.dcm"
    moved = replace(grid, origin=(grid.origin[0] + 0.5, *grid.origin[1:]))
    mirrored = Grid.of(sitk.Flip(grid.image(regions[0].astype(np.uint8)), (True, False, False)))
    for wrong_grid, wrong_files in (
        (grid, files[1:]),
        (grid, [*files, files[3]]),
        (grid, [*files[:-1], files[3]]),
        (moved, files),
        (mirrored, files),
        (replace(grid, size=(grid.size[0], grid.size[1] - 1, grid.size[2])), files),
    ):
        with pytest.raises(GridMismatchError):
            write_segmentation(DicomResult(scan_of(wrong_grid), regions, wrong_files, "Tiny", "1", MADE), path)
    assert not path.exists()


def _without_preamble(dataset: pydicom.Dataset) -> None:
    dataset.preamble = None
    del dataset.file_meta


def _named_in_japanese(dataset: pydicom.Dataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎"


def _without_thickness(dataset: pydicom.Dataset) -> None:
    dataset.SliceThickness = None


def _drifting(dataset: pydicom.Dataset) -> None:
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, f"{y + 0.03 * (dataset.InstanceNumber - 1):.4f}", z]


@pytest.mark.parametrize("change", [_without_preamble, _named_in_japanese, _without_thickness, _drifting])
def test_write_segmentation_takes_odd_headers_that_are_read(
    grid: Grid,
    regions: NDArray[np.bool_],
    files: list[Path],
    tmp_path: Path,
    change: Callable[[pydicom.Dataset], None],
) -> None:
    """Whatever `find_series` reads, the object refers to the right slices of it."""
    odd = []
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        change(dataset)
        odd.append(tmp_path / f"{number}.dcm")
        pydicom.dcmwrite(odd[-1], dataset, implicit_vr=False, little_endian=True)
    (series,) = find_series(tmp_path)
    assert series.grid is not None
    segmentation = write(regions, series.grid, odd, tmp_path / "result" / "segmentation.dcm")
    np.testing.assert_array_equal(voxels(segmentation, files), regions)
    if change is _named_in_japanese:
        assert segmentation.PatientName.ideographic == "山田^太郎"


def test_write_segmentation_refuses_several_multi_frame_files(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        dataset.NumberOfFrames = 1
        dataset.save_as(tmp_path / f"{number}.dcm")
    with pytest.raises(UnusableImageError, match="several multi-frame files"):
        write(regions, grid, sorted(tmp_path.iterdir()), tmp_path / "segmentation.dcm")


def test_an_unusable_source_is_said_in_a_sentence(
    grid: Grid, regions: NDArray[np.bool_], files: list[Path], tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no DICOM")
    path = tmp_path / "segmentation.dcm"
    for wrong in (notes, tmp_path / "absent.dcm"):
        with pytest.raises(UnreadableImageError, match=wrong.name):
            write_segmentation(DicomResult(scan_of(grid), regions, [wrong, *files[1:]], "Tiny", "1", MADE), path)
    for number, keyword in enumerate(("ImagePositionPatient", "FrameOfReferenceUID")):
        placeless = edited(files, tmp_path / str(number), delete=(keyword,))
        with pytest.raises(UnusableImageError, match="has no positions of its slices"):
            write_segmentation(DicomResult(scan_of(grid), regions, placeless, "Tiny", "1", MADE), path)
    with pytest.raises(OutputError):
        write_segmentation(
            DicomResult(scan_of(grid), regions, files, "Tiny", "1", MADE), Path("/proc/segmentation.dcm")
        )
