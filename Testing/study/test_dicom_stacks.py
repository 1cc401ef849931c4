"""Several volumes in one series."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_fixtures import (
    ACQUISITIONS,
    VALUES,
    assert_reads_as,
    series_datasets,
    slices,
    tilted_scan,
    write_datasets,
)
from pydicom import Dataset
from tokenunet.study.dicom import find_series
from tokenunet.study.find import find_study

GENERATOR = np.random.default_rng(0)
OTHER_VALUES = VALUES[::-1].copy()
COUNT = len(VALUES)
STUDY = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}


@pytest.mark.parametrize(
    "numbers",
    [
        lambda volume, k: {"InstanceNumber": COUNT * volume + k + 1},
        lambda volume, k: {"InstanceNumber": 2 * k + volume + 1},
        lambda volume, k: {"InstanceNumber": COUNT * (volume + 1) - k},
        lambda volume, k: {"InstanceNumber": k + 1, "AcquisitionTime": f"10{volume:02}00"},
        lambda volume, k: {"InstanceNumber": k + 1, "ContentTime": f"10{volume:02}{k:02}"},
        lambda volume, k: {"InstanceNumber": k + 1, "TriggerTime": 100.5 * (volume + 1) + k},
        lambda volume, k: {"InstanceNumber": COUNT * volume + k + 1, "AcquisitionNumber": COUNT * volume + k + 1},
        lambda volume, k: {"InstanceNumber": k + 1, "AcquisitionNumber": 3 + volume},
    ],
    ids=[
        "stacked",
        "in_turn",
        "backwards",
        "time",
        "content_time",
        "trigger_time",
        "number_of_each_image",
        "acquisition",
    ],
)
def test_find_series_separates_volumes_without_a_tag_by_order(tmp_path: Path, numbers: Any) -> None:
    write_datasets(two_volumes(numbers), tmp_path, GENERATOR)
    first, second = find_series(tmp_path)
    assert first.name != second.name
    assert_reads_as(first, tilted_scan())
    assert_reads_as(second, tilted_scan(values=OTHER_VALUES))


def test_find_series_warns_of_volumes_separated_by_order(tmp_path: Path) -> None:
    write_datasets(two_volumes(lambda volume, k: {"InstanceNumber": COUNT * volume + k + 1}), tmp_path, GENERATOR)
    for number, series in enumerate(find_series(tmp_path), start=1):
        (finding,) = series.findings
        assert finding.code == "separated_by_order"
        assert f"volume {number} of 2" in finding.message


@pytest.mark.parametrize(
    "numbers",
    [
        lambda volume, k: {"InstanceNumber": k + 1},
        lambda volume, k: {"InstanceNumber": 2 * k + 1 + (volume + k) % 2 + (100 if k > 5 and volume else 0)},
    ],
    ids=["the_same", "in_no_order"],
)
def test_find_series_refuses_volumes_that_order_does_not_tell_apart(tmp_path: Path, numbers: Any) -> None:
    write_datasets(two_volumes(numbers), tmp_path, GENERATOR)
    (series,) = find_series(tmp_path)
    assert "nothing tells apart" in series.problem
    assert "convert each on its own" in series.problem


def test_find_series_reads_a_series_given_twice_as_one(tmp_path: Path) -> None:
    """Copies are no second volume, although their numbers differ."""
    datasets = two_volumes(lambda volume, k: {"InstanceNumber": COUNT * volume + k + 1}, VALUES)
    write_datasets(datasets, tmp_path, GENERATOR)
    (series,) = find_series(tmp_path)
    assert_reads_as(series, tilted_scan())
    assert [finding.code for finding in series.findings] == ["duplicate_slice"]


def test_find_study_takes_the_last_of_a_dynamic_series_without_tags(tmp_path: Path) -> None:
    for sequence in ("T1", "T2", "FLAIR"):
        datasets = series_datasets(tilted_scan(), f"1.2.3.{sequence.encode().hex()}", STUDY | ACQUISITIONS[sequence])
        write_datasets(datasets, tmp_path, GENERATOR)
    dynamic = two_volumes(lambda volume, k: {"InstanceNumber": COUNT * volume + k + 1, **ACQUISITIONS["T1ce"]})
    files = write_datasets(dynamic, tmp_path, GENERATOR)
    found = find_study(tmp_path)
    assert set(found.series["T1ce"].files) == set(files[COUNT:])
    assert {"separated_by_order", "passed_over"} <= {finding.code for finding in found.findings}


def two_volumes(numbers: Any, other: np.ndarray = OTHER_VALUES) -> list[Dataset]:
    """Two volumes of one series, with the attributes of each image by its volume and slice."""
    volumes = [slices(), slices(scan=tilted_scan(values=other))]
    for volume, datasets in enumerate(volumes):
        for k, dataset in enumerate(datasets):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{volume}.{k}"
            for keyword, value in numbers(volume, k).items():
                setattr(dataset, keyword, value)
    return [dataset for datasets in volumes for dataset in datasets]
