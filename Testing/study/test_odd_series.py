"""Series that archives and anonymizers hand over against the standard, or in rare forms of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_fixtures import assert_reads_as, series_datasets, slices, tilted_scan, write_datasets, written
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from tokenunet.study.dicom import find_series
from tokenunet.study.dicom_tags import dicom_tags

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "in color"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0}, "in color"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "mosaic"),
    ],
)
def test_find_series_excludes_color_and_mosaics(tmp_path: Path, attributes: dict[str, Any], reason: str) -> None:
    datasets = slices({"SeriesDescription": "t1 post gd"})
    for dataset in datasets:
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.PixelData = dataset.PixelData * dataset.SamplesPerPixel
    assert reason in written(tmp_path, datasets).excluded


@pytest.mark.parametrize(
    ("character_set", "description"),
    [
        (["", "ISO 2022 IR 87"], "T1 造影後"),
        ("GB18030", "T1 增强"),
        ("GBK", "T1 增强"),
        (["", "ISO 2022 IR 149"], "T1 조영"),
        ("ISO_IR 144", "T1 контраст"),
        ("ISO_IR 192", "T1 après inj."),
        ("ISO_IR 100", "T1 après inj."),
    ],
)
def test_find_series_decodes_descriptions(tmp_path: Path, character_set: Any, description: str) -> None:
    attributes = {"SpecificCharacterSet": character_set, "SeriesDescription": description}
    assert written(tmp_path, slices(attributes)).tags.description == description


def test_find_series_reads_latin_1_where_the_character_set_is_unknown(tmp_path: Path) -> None:
    datasets = slices({"SpecificCharacterSet": "ISO_IR 100", "SeriesDescription": "T1 après"})
    (file,) = write_datasets(datasets[:1], tmp_path, GENERATOR)
    file.write_bytes(file.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))
    assert find_series(tmp_path)[0].tags.description == "T1 après"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.203"])
def test_find_series_names_compressions_that_cannot_be_read(tmp_path: Path, syntax: str) -> None:
    datasets = slices()
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.PixelData = encapsulate([bytes(64)])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    problem = written(tmp_path, datasets).problem
    assert problem == f"Its files are compressed as {UID(syntax).name}, which cannot be read: export it uncompressed."


@pytest.mark.parametrize("uid", ["", "1.2.3.4"])
def test_find_series_separates_numbers_of_one_uid(tmp_path: Path, uid: str) -> None:
    """Some anonymizers write one UID, or none, into all series."""
    scans = {3: tilted_scan(), 9: tilted_scan(values=GENERATOR.integers(0, 4000, (12, 24, 20)).astype(np.float32))}
    for number, scan in scans.items():
        datasets = slices({"SeriesNumber": number}, scan)
        for dataset in datasets:
            dataset.SeriesInstanceUID = uid
        write_datasets(datasets, tmp_path, GENERATOR)
    found = find_series(tmp_path)
    assert [series.tags.series_number for series in found] == list(scans)
    for series, scan in zip(found, scans.values(), strict=True):
        assert_reads_as(series, scan)


@pytest.mark.parametrize(
    ("step", "stated", "thickness", "missing"),
    [(2, 5.5, 5.0, True), (3, 5.5, None, True), (1, 5.5, 5.0, False), (2, 1.0, 5.0, False), (2, 11.0, 10.0, False)],
)
def test_find_series_warns_of_slices_missing_evenly(
    tmp_path: Path, step: int, stated: float, thickness: float | None, missing: bool
) -> None:
    scan = tilted_scan(values=GENERATOR.integers(0, 4000, (36, 24, 20)).astype(np.float32))
    datasets = series_datasets(scan, "1.2.3.4", {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"})[::step]
    for dataset in datasets:
        dataset.SpacingBetweenSlices, dataset.SliceThickness = stated, thickness
    findings = written(tmp_path, datasets).findings
    assert [finding.code for finding in findings] == ["missing_slices"] * missing


@pytest.mark.parametrize(
    ("tags", "acquired"),
    [
        ({"0008|0022": "20260103", "0008|0032": "000300"}, "20260103000300"),
        ({"0008|0020": "20260102", "0008|0030": "233000", "0008|0032": "000300"}, "20260103000300"),
        ({"0008|0021": "20251231", "0008|0031": "235900.5", "0008|0032": "000300"}, "20260101000300"),
        ({"0008|0020": "20260102", "0008|0030": "100000", "0008|0032": "095900"}, "20260102095900"),
        (
            {"0008|0021": "20260103", "0008|0020": "20260102", "0008|0030": "233000", "0008|0032": "0003"},
            "202601030003",
        ),
        ({"0008|0020": "20260102", "0008|0030": "", "0008|0032": "000300"}, "20260102000300"),
        ({"0008|0020": "unknown", "0008|0030": "233000", "0008|0032": "000300"}, "unknown000300"),
    ],
)
def test_dicom_tags_count_nights_on(tags: dict[str, str], acquired: str) -> None:
    assert dicom_tags(lambda tag: tags.get(tag, "")).acquired == acquired
