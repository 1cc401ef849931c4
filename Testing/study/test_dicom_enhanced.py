"""Files of many frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_fixtures import VALUES, assert_reads_as, slices, tilted_scan, truncate
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage
from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.dicom import find_series, read_series

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("order", ["rising", "falling", "none"])
def test_a_file_of_many_frames_is_read_in_any_order(tmp_path: Path, order: str) -> None:
    frames = range(len(VALUES))
    orders = {"rising": frames, "falling": reversed(frames), "none": GENERATOR.permutation(len(VALUES))}
    write_enhanced(tmp_path / "enhanced", [slices(slope=2)[k] for k in orders[order]])
    (series,) = find_series(tmp_path)
    assert (series.tags.repetition_time, series.tags.echo_time) == (4500, 98)
    assert series.tags.contrast_agent == "Gadobutrol"
    assert_reads_as(series, tilted_scan(values=2 * np.round(VALUES / 2)))


def test_positions_of_makers_and_pixels_of_a_preview_do_not_disturb(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", slices())
    whole = dcmread(tmp_path / "enhanced")
    for frame in whole.PerFrameFunctionalGroupsSequence:
        block = frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", [nested({})])
        block[0x0F].value[0].ImagePositionPatient = [1, 2, 3]
    preview = nested({})
    preview.Rows = preview.Columns = preview.BitsAllocated = 8
    preview.PixelData = bytes(64)
    whole.IconImageSequence = [preview]
    whole.save_as(tmp_path / "enhanced")
    (series,) = find_series(tmp_path)
    assert_reads_as(series, tilted_scan())


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_read_series_rescales_each_frame_by_its_own_slope(tmp_path: Path, order: str) -> None:
    datasets = slices() if order == "rising" else slices()[::-1]
    scales = [(0.5 + k, 3.0 * k) for k in range(len(datasets))]
    write_enhanced(tmp_path / "enhanced", datasets)
    rescale_frames(tmp_path / "enhanced", scales)
    (series,) = find_series(tmp_path)
    by_slice = scales if order == "rising" else scales[::-1]
    expected = np.stack([image * slope + offset for image, (slope, offset) in zip(VALUES, by_slice, strict=True)])
    assert_reads_as(series, tilted_scan(values=expected.astype(np.float32)))


def test_read_series_adds_each_frames_own_intercept(tmp_path: Path) -> None:
    """The slopes are the same, which alone says nothing about the intercepts."""
    write_enhanced(tmp_path / "enhanced", slices())
    rescale_frames(tmp_path / "enhanced", [(1.0, 10.0 * k) for k in range(len(VALUES))])
    (series,) = find_series(tmp_path)
    expected = VALUES + 10 * np.arange(len(VALUES), dtype=np.float32)[:, None, None]
    assert_reads_as(series, tilted_scan(values=expected))


def test_find_series_wants_the_slope_of_each_frame(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", slices())
    rescale_frames(tmp_path / "enhanced", [(1.0, 0.0), (2.0, 0.0)])
    (series,) = find_series(tmp_path)
    assert "do not state how each of their frames is rescaled" in series.problem


def test_read_series_names_a_file_whose_frames_are_cut_off(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", slices())
    rescale_frames(tmp_path / "enhanced", [(1.0 + k, 0.0) for k in range(len(VALUES))])
    (series,) = find_series(tmp_path)
    truncate(tmp_path / "enhanced")
    with pytest.raises(UnreadableImageError, match="enhanced"):
        read_series(series)


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize(
    "group", [None, ("MREchoSequence", "EffectiveEchoTime"), ("FrameContentSequence", "TemporalPositionIndex")]
)
def test_find_series_separates_volumes_of_one_file(
    tmp_path: Path, group: tuple[str, str] | None, in_turn: bool
) -> None:
    volumes = [slices(), slices(scan=tilted_scan(values=VALUES[::-1].copy()))]
    pairs = [(dataset, number) for number, volume in enumerate(volumes, start=1) for dataset in volume]
    if in_turn:
        pairs.sort(key=lambda pair: pair[0].InstanceNumber)
    write_enhanced(tmp_path / "enhanced", [dataset for dataset, _ in pairs])
    if group:
        whole = dcmread(tmp_path / "enhanced")
        for frame, (_, number) in zip(whole.PerFrameFunctionalGroupsSequence, pairs, strict=True):
            value = nested({group[0]: {group[1]: number if group[0] == "FrameContentSequence" else 10.0 * number}})
            frame[group[0]] = value[group[0]]
        whole.save_as(tmp_path / "enhanced")
    one, other = find_series(tmp_path)
    assert one.name != other.name
    assert_reads_as(one, tilted_scan())
    assert_reads_as(other, tilted_scan(values=VALUES[::-1].copy()))
    assert [finding.code for finding in other.findings] == ([] if group else ["separated_by_order"])
    if group and group[0] == "MREchoSequence":
        assert (one.tags.echo_time, other.tags.echo_time) == (10, 20)
    else:
        assert (one.tags.temporal_position, other.tags.temporal_position) == (1, 2)


def test_frames_in_no_order_are_a_problem(tmp_path: Path) -> None:
    datasets = slices() + slices()
    write_enhanced(tmp_path / "enhanced", [datasets[k] for k in (*range(6), *range(12, 24), *range(6, 12))])
    (series,) = find_series(tmp_path)
    assert "nothing tells apart" in series.problem


def rescale_frames(path: Path, scales: list[tuple[float, float]]) -> None:
    """Give the first frames of a file a slope and an intercept of their own."""
    whole = dcmread(path)
    del whole.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for (slope, offset), frame in zip(scales, whole.PerFrameFunctionalGroupsSequence, strict=False):
        scale = {"RescaleSlope": slope, "RescaleIntercept": offset, "RescaleType": "US"}
        frame.PixelValueTransformationSequence = nested({"PixelValueTransformationSequence": scale})[0x289145].value
    whole.save_as(path)


def write_enhanced(path: Path, datasets: list[Dataset]) -> None:
    """One enhanced MR file of the frames; what single files say at the top stands in groups."""
    whole = datasets[0]
    shared = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": whole.ImageOrientationPatient},
        "PixelMeasuresSequence": {"PixelSpacing": whole.PixelSpacing, "SliceThickness": whole.SliceThickness},
        "MRTimingAndRelatedParametersSequence": {"RepetitionTime": whole.RepetitionTime},
        "MREchoSequence": {"EffectiveEchoTime": float(whole.EchoTime)},
        "PixelValueTransformationSequence": {
            "RescaleSlope": whole.get("RescaleSlope", 1),
            "RescaleIntercept": 0,
            "RescaleType": "US",
        },
    }
    whole.PerFrameFunctionalGroupsSequence = [
        nested({"PlanePositionSequence": {"ImagePositionPatient": frame.ImagePositionPatient}}) for frame in datasets
    ]
    whole.SharedFunctionalGroupsSequence = [nested(shared)]
    whole.ContrastBolusAgentSequence = [nested({})]
    whole.ContrastBolusAgentSequence[0].ContrastBolusAgent = "Gadobutrol"
    whole.PixelData = b"".join(frame.PixelData for frame in datasets)
    whole.NumberOfFrames = len(datasets)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    at_the_top = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
    for keyword in (*at_the_top, "SpacingBetweenSlices", "RepetitionTime", "EchoTime", "RescaleSlope"):
        if keyword in whole:
            delattr(whole, keyword)
    whole.save_as(path, enforce_file_format=True)


def nested(groups: dict[str, dict[str, Any]]) -> Dataset:
    group = Dataset()
    for sequence, values in groups.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(group, sequence, [item])
    return group
