"""The contact sheet: every patient, every sequence, true outlines."""

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.sequences import SEQUENCES
from tokenunet.synthesis.sheet import COLOURS, contact_sheet, write_sheet

SHAPE = (12, 20, 16)


def patient(labelled: bool):
    generator = np.random.default_rng(0)
    images = {name: np.zeros(SHAPE, np.float32) for name in SEQUENCES}
    for image in images.values():
        image[2:-2, 2:-2, 2:-2] = generator.normal(100, 10, image[2:-2, 2:-2, 2:-2].shape)
    labels = np.zeros(SHAPE, np.uint8)
    if labelled:
        labels[4:9, 5:12, 4:10] = 2
    return images, labels


def colours_of(sheet: np.ndarray) -> set[tuple[int, ...]]:
    flat = sheet.reshape(-1, 3)
    return {tuple(int(v) for v in c) for c in flat[(flat != flat[:, :1]).any(1)]}


def test_it_has_three_planes_a_patient_and_six_pictures_in_a_row():
    d, h, w = SHAPE
    sheet = contact_sheet([patient(True), patient(False)])
    assert sheet.shape == (2 * (h + d + d), 6 * max(h, w), 3)
    assert sheet.dtype == np.uint8


def test_outlines_are_drawn_on_the_last_two_pictures_alone():
    sheet = contact_sheet([patient(True)])
    plain = 4 * max(SHAPE[1:])
    assert colours_of(sheet[:, :plain]) == set()
    assert colours_of(sheet[:, plain:]) == {COLOURS[0]}
    assert colours_of(contact_sheet([patient(False)])) == set()


def test_an_absent_sequence_is_black():
    images, labels = patient(True)
    images["T2"] = np.zeros(SHAPE, np.float32)
    side = max(SHAPE[1:])
    assert not contact_sheet([(images, labels)])[:, 2 * side : 3 * side].any()


def test_a_written_sheet_reads_back(tmp_path):
    sheet = contact_sheet([patient(True)])
    write_sheet(sheet, tmp_path / "new" / "sheet.png")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "new" / "sheet.png"))), sheet)


def test_no_patient_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])
