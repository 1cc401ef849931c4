"""The contact sheet: every patient, every sequence, true outlines."""

import numpy as np
import pytest
import SimpleITK as sitk
import tokenunet.synthesis
from tokenunet.cli import main
from tokenunet.core.sequences import SEQUENCES
from tokenunet.synthesis.sheet import COLORS, contact_sheet, write_sheet

SHAPE = (12, 20, 16)


def patient(labeled: bool):
    generator = np.random.default_rng(0)
    images = {name: np.zeros(SHAPE, np.float32) for name in SEQUENCES}
    for image in images.values():
        image[2:-2, 2:-2, 2:-2] = generator.normal(100, 10, image[2:-2, 2:-2, 2:-2].shape)
    labels = np.zeros(SHAPE, np.uint8)
    if labeled:
        labels[4:9, 5:12, 4:10] = 2
    return images, labels


def colors_of(sheet: np.ndarray) -> set[tuple[int, ...]]:
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
    assert colors_of(sheet[:, :plain]) == set()
    assert colors_of(sheet[:, plain:]) == {COLORS[0]}
    assert colors_of(contact_sheet([patient(False)])) == set()
    # The axial cut shows rows 5 to 11 and columns 4 to 9, behind a margin of 2; the middle stays visible.
    axial = sheet[: SHAPE[1], plain : plain + max(SHAPE[1:])]
    assert tuple(axial[5, 8]) == COLORS[0]
    assert len(set(axial[8, 8].tolist())) == 1


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


@pytest.fixture
def coarse_patients(monkeypatch):
    """Patients of 4 mm, which are quick to make."""
    make = tokenunet.synthesis.synthetic_patient
    monkeypatch.setattr(tokenunet.synthesis, "synthetic_patient", lambda seed: make(seed, 4.0))


def test_the_command_draws_a_sheet_and_writes_no_patients(coarse_patients, tmp_path):
    file = tmp_path / "sheet.png"
    assert main(["synth", "--patients", "2", "--sheet", str(file)]) == 0
    assert list(tmp_path.iterdir()) == [file]
    width, height = sitk.ReadImage(str(file)).GetSize()
    assert (width, height) == (6 * 52, 2 * (52 + 38 + 38))


def test_the_command_keeps_an_existing_sheet(tmp_path, capsys):
    file = tmp_path / "sheet.png"
    file.write_bytes(b"mine")
    assert main(["synth", "--sheet", str(file)]) == 6
    assert "already exists" in capsys.readouterr().err
    assert file.read_bytes() == b"mine"


def test_the_command_wants_something_to_write(capsys):
    assert main(["synth"]) == 2
    assert "--sheet" in capsys.readouterr().err
