"""The doctor names every fault, with the case it is in."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import (
    NAMES_2023,
    scans,
    true_labels,
    truth_image,
    write_csv,
    write_dataset,
    write_msd,
    write_patient_folder,
)
from scan_fixtures import GRID
from tokenunet.cli import main
from tokenunet.core.errors import Cancelled, DatasetError
from tokenunet.core.events import Event, ProgressEvent
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import DatasetReport, check_dataset, dataset_from_json, dataset_to_json, read_dataset


def check(path: Path) -> DatasetReport:
    return check_dataset(read_dataset(path))


def write_truth(path: Path, labels: np.ndarray) -> None:
    sitk.WriteImage(GRID.image(labels), path)


def without_flair(folder: Path) -> None:
    (folder / "P_1_flair.nii").unlink()


def without_truth(folder: Path) -> None:
    (folder / "P_1_seg.nii").unlink()


def cut_off(folder: Path) -> None:
    path = folder / "P_1_t2.nii"
    path.write_bytes(path.read_bytes()[:9999])


def truth_cut_off(folder: Path) -> None:
    path = folder / "P_1_seg.nii"
    path.write_bytes(path.read_bytes()[:9999])


def empty_scan(folder: Path) -> None:
    sitk.WriteImage(scans()["T2"] * 0, folder / "P_1_t2.nii")


def strange_labels(folder: Path) -> None:
    write_truth(folder / "P_1_seg.nii", true_labels() * 7)


def fractional_labels(folder: Path) -> None:
    write_truth(folder / "P_1_seg.nii", true_labels() * np.float32(0.5))


def two_enhancing(folder: Path) -> None:
    labels = true_labels()
    labels[0, 0, 0] = 3
    write_truth(folder / "P_1_seg.nii", labels)


def truth_elsewhere(folder: Path) -> None:
    image = truth_image()
    image.SetOrigin((0, 0, 0))
    sitk.WriteImage(image, folder / "P_1_seg.nii")


def scan_elsewhere(folder: Path) -> None:
    image = sitk.Image(scans(1)["T2"])
    image.SetOrigin((500, 0, 0))
    sitk.WriteImage(image, folder / "P_1_t2.nii")


def scan_on_another_grid(folder: Path) -> None:
    image = GRID.with_spacing((3.0, 3.0, 5.0)).resample(scans(1)["T2"])
    sitk.WriteImage(image, folder / "P_1_t2.nii")


def the_same_twice(folder: Path) -> None:
    sitk.WriteImage(scans(1)["T1"], folder / "P_1_t2.nii")


def copy_of_another(folder: Path) -> None:
    (folder / "P_1_t2.nii").unlink()
    sitk.WriteImage(scans(0)["T2"], folder / "P_1_t2.nii.gz")  # other bytes, the same content


def truth_of_another(folder: Path) -> None:
    write_truth(folder / "P_1_seg.nii", true_labels(0))


def no_tumor(folder: Path) -> None:
    write_truth(folder / "P_1_seg.nii", true_labels() * 0)


def with_skull(folder: Path) -> None:
    z, y, x = np.indices(GRID.size[::-1])
    above_neck = np.maximum(z - 23, 0)
    head = (above_neck / 23) ** 2 + ((y - 28) / 27) ** 2 + ((x - 21) / 22) ** 2 < 1
    noise = np.random.default_rng(0).integers(1, 40, head.shape)
    for number, sequence in enumerate(SEQUENCES):
        values = sitk.GetArrayFromImage(scans(1)[sequence]) + head * (600 + 200 * ((x // 4 + number) % 4)) + noise
        sitk.WriteImage(GRID.image(values.astype(np.int16)), folder / f"P_1_{sequence.lower()}.nii")


def swapped(folder: Path) -> None:
    sitk.WriteImage(scans(1)["T1ce"], folder / "P_1_t2.nii")
    sitk.WriteImage(scans(1)["T2"], folder / "P_1_t1ce.nii")


@pytest.mark.parametrize(
    ("damage", "code", "severity", "words"),
    [
        (without_flair, "missing_sequence", "error", "no FLAIR"),
        (without_truth, "missing_truth", "error", "no ground truth"),
        (cut_off, "unreadable_image", "error", "P_1_t2.nii"),
        (truth_cut_off, "unreadable_image", "error", "P_1_seg.nii"),
        (empty_scan, "unusable_image", "error", "P_1_t2.nii is empty"),
        (strange_labels, "label_values", "error", "values 7, 14, 28"),
        (fractional_labels, "label_values", "error", "value 0.5"),
        (two_enhancing, "label_values", "error", "both 3 and 4"),
        (truth_elsewhere, "grid_mismatch", "error", "46 x 54 x 50 voxels of 3 x 3 x 3 mm from 0 x 0 x 0"),
        (scan_elsewhere, "grid_mismatch", "error", "shows only 0%"),
        (scan_on_another_grid, "grid_mismatch", "warning", "T2 has other voxels than T1ce"),
        (the_same_twice, "ambiguous_sequence", "error", "T1 and T2 are the same image"),
        (copy_of_another, "duplicate", "error", "Its T2 is the same as in P_0"),
        (truth_of_another, "duplicate", "error", "Its ground truth is the same as in P_0"),
        (no_tumor, "empty_truth", "warning", "marks no tumor"),
        (with_skull, "not_skull_stripped", "warning", "skull-stripped"),
        (swapped, "sequence_content", "warning", "swapped"),
    ],
)
def test_a_fault_is_found_with_its_case(
    tmp_path: Path, damage: Callable[[Path], None], code: str, severity: str, words: str
) -> None:
    write_dataset(tmp_path)
    damage(tmp_path / "P_1")
    report = check(tmp_path)
    found = {(f.code, f.severity, f.case) for f in report.findings}
    assert found == {(code, severity, "P_1")}
    assert words in report.findings[0].message
    if severity == "error":
        with pytest.raises(DatasetError, match="cannot be trained on: P_1: "):
            report.raise_errors()
    else:
        report.raise_errors()


def test_nothing_is_found_in_sound_data(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path))
    report.raise_errors()
    assert report.findings == ()
    assert report.grouping == {"P_0": ("P_0",), "P_1": ("P_1",), "P_2": ("P_2",)}
    assert (report.layout, report.patients, report.cases) == ("BraTS 2018-2021", 3, ("P_0", "P_1", "P_2"))
    facts = report.facts[0]
    assert (facts.size, facts.spacing) == (GRID.size, GRID.spacing)
    assert facts.volumes_ml == pytest.approx({"WT": 16**3 * 0.027, "TC": 27.0, "ET": 27.0 - 64 * 0.027}, abs=1e-3)


def test_msd_and_csv_are_sound_too(tmp_path: Path) -> None:
    assert check(write_msd(tmp_path / "msd")).findings == ()
    assert check(write_csv(tmp_path / "csv")).findings == ()


def test_an_msd_image_with_too_few_channels_is_told(tmp_path: Path) -> None:
    write_msd(tmp_path)
    image = sitk.JoinSeries([scans(0)["FLAIR"], scans(0)["T1"]])
    sitk.WriteImage(image, tmp_path / "imagesTr" / "BRATS_001.nii.gz")
    (finding,) = check(tmp_path).errors
    assert (finding.case, finding.code) == ("BRATS_001", "bad_dataset")
    assert "has 2 channels" in finding.message


def test_a_file_that_a_csv_names_but_is_not_there_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text(path.read_text(encoding="utf-8-sig").replace("P_0_t2.nii", "P_0_gone.nii"))
    (finding,) = check(path).errors
    assert finding.case == "P_0"
    assert "There is no file" in finding.message
    assert "P_0_gone.nii" in finding.message


def test_time_points_of_a_patient_are_told_and_one_patient_is_too_few(tmp_path: Path) -> None:
    for time in range(2):
        write_patient_folder(tmp_path, f"BraTS-GLI-00001-00{time}", time, NAMES_2023, et=3)
    report = check(tmp_path)
    assert [(f.code, f.severity) for f in report.findings] == [
        ("too_few_patients", "error"),
        ("time_points", "warning"),
    ]
    assert "BraTS-GLI-00001-000, BraTS-GLI-00001-001" in report.findings[1].message


def test_a_copied_time_point_is_only_a_warning(tmp_path: Path) -> None:
    write_patient_folder(tmp_path, "BraTS-GLI-00002-000", 2, NAMES_2023, et=3)
    for time in range(2):
        write_patient_folder(tmp_path, f"BraTS-GLI-00001-00{time}", 0, NAMES_2023, et=3)
    report = check(tmp_path)
    assert report.errors == ()
    assert {f.code for f in report.findings} == {"time_points", "duplicate"}
    assert "T1, T1ce, T2, FLAIR, ground truth are the same" in next(
        f.message for f in report.findings if f.code == "duplicate"
    )


def test_the_resection_cavity_of_brats_2024_is_not_taken_for_tumor(tmp_path: Path) -> None:
    for patient, et in enumerate((3, 4)):
        write_patient_folder(tmp_path, f"BraTS-GLI-0000{patient}-000", patient, NAMES_2023, et=et)
    (finding,) = check(tmp_path).findings
    assert (finding.case, finding.code) == ("BraTS-GLI-00001-000", "label_values")
    assert "resection cavity" in finding.message


def test_check_refuses_truths_of_two_schemes_until_labels_says_which(tmp_path: Path) -> None:
    for patient, et in enumerate((3, 4)):
        write_patient_folder(tmp_path, f"P_{patient}", patient, et=et)
    (finding,) = check(tmp_path).findings
    assert (finding.code, finding.severity) == ("mixed_labels", "error")
    assert check_dataset(read_dataset(tmp_path, "brats")).findings == ()


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    before = check(write_dataset(tmp_path / "a")).fingerprint
    (tmp_path / "a").rename(tmp_path / "b")
    assert check(tmp_path / "b").fingerprint == before
    dataset = read_dataset(tmp_path / "b")
    assert check_dataset(dataset_from_json(json.loads(json.dumps(dataset_to_json(dataset))))).fingerprint == before
    labels = true_labels()
    labels[0, 0, 0] = 1
    write_truth(tmp_path / "b" / "P_1" / "P_1_seg.nii", labels)
    changed = check(tmp_path / "b").fingerprint
    (tmp_path / "b" / "P_2").rename(tmp_path / "P_2")
    assert len({before, changed, check(tmp_path / "b").fingerprint}) == 3


def test_progress_runs_to_the_end_and_can_stop_the_check(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path))
    fractions: list[float] = []

    def note(event: Event) -> None:
        assert isinstance(event, ProgressEvent)
        assert event.stage == "check"
        assert (event.eta_s is not None) == bool(fractions)
        fractions.append(event.fraction)

    check_dataset(dataset, note)
    assert fractions == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-3)

    def stop(event: Event) -> None:
        if isinstance(event, ProgressEvent) and event.fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        check_dataset(dataset, stop)


def test_the_command_prints_a_report_and_exits_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path)
    assert main(["dataset", "check", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "BraTS 2018-2021, 3 patients, 3 cases" in text
    assert "    3  46 x 54 x 50     3 x 3 x 3" in text
    assert "0 errors, 0 warnings. It can be trained on." in text
    for folder in tmp_path.iterdir():
        (folder / f"{folder.name}_seg.nii").unlink()
    without_flair(tmp_path / "P_1")
    assert main(["dataset", "check", str(tmp_path)]) == 3
    text = capsys.readouterr().out
    assert "error missing_truth, 3 times:\n  P_0: There is no ground truth" in text
    assert "4 errors, 0 warnings. It cannot be trained on." in text
    assert main(["dataset", "check", str(tmp_path), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert {"code": "missing_sequence", "severity": "error", "case": "P_1", "message": "There is no FLAIR."} in report[
        "findings"
    ]
    assert main(["dataset", "check", str(tmp_path), "--progress", "json"]) == 3
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["progress"] * 4 + ["result", "error"]
    assert events[-2]["report"] == report
    assert events[-1]["code"] == "bad_dataset"


def test_long_lists_of_the_same_fault_are_shortened(tmp_path: Path) -> None:
    write_dataset(tmp_path, 5)
    for folder in tmp_path.iterdir():
        (folder / f"{folder.name}_seg.nii").unlink()
    text = check(tmp_path).to_text()
    assert "  The same: P_3, P_4\n" in text
    assert "P_3: " not in text


def test_what_was_not_understood_when_looking_for_cases_is_in_the_report(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "P_1" / "P_1_old_seg.nii").touch()
    (finding,) = check(tmp_path).errors
    assert (finding.case, finding.code) == ("P_1", "ambiguous_sequence")
