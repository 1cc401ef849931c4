"""Files of many frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_fixtures import VALUES, assert_reads_as, slices, tilted_scan
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage
from tokenunet.study.dicom import find_series

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


def test_frames_of_different_slopes_are_a_problem(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", slices())
    whole = dcmread(tmp_path / "enhanced")
    del whole.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for number, frame in enumerate(whole.PerFrameFunctionalGroupsSequence, start=1):
        scale = {"RescaleSlope": number, "RescaleIntercept": 0, "RescaleType": "US"}
        frame.PixelValueTransformationSequence = nested({"PixelValueTransformationSequence": scale})[0x289145].value
    whole.save_as(tmp_path / "enhanced")
    (series,) = find_series(tmp_path)
    assert "rescaled differently" in series.problem


def test_several_volumes_in_one_file_are_a_problem(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", slices() + slices())
    (series,) = find_series(tmp_path)
    assert "several volumes in one file" in series.problem


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
