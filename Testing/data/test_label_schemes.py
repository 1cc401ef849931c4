"""Labels are understood as a whole, or refused until somebody says what they mean."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import NAMES_2023, scans, true_labels, truth_image, write_dataset, write_patient_folder
from scan_fixtures import GRID
from tokenunet.cli import main
from tokenunet.data import check_dataset, read_dataset, read_truth


def codes(folder: Path, scheme: str = "") -> set[tuple[str, str]]:
    return {(f.code, f.severity) for f in check_dataset(read_dataset(folder, scheme)).findings}


def renumber(folder: Path, values: dict[int, int], names: str = "*seg.nii") -> Path:
    for seed, path in enumerate(sorted(folder.rglob("*seg.nii"))):
        if path.match(names):
            sitk.WriteImage(truth_image(values, seed), path)
    return folder


@pytest.mark.parametrize("value", [1, 2, 4])
def test_check_refuses_single_label_truths(tmp_path: Path, value: int) -> None:
    folder = renumber(write_dataset(tmp_path), {1: value, 2: value, 4: value})
    assert codes(folder) == {("single_label", "error")}
    assert codes(folder, "brats") == {("single_label", "warning")}


def test_check_warns_of_single_label_truths_among_others(tmp_path: Path) -> None:
    folder = renumber(write_dataset(tmp_path), {2: 1, 4: 1}, "P_1_seg.nii")
    assert codes(folder) == {("single_label", "warning")}
    assert codes(renumber(folder, {2: 1, 4: 1}, "P_2_seg.nii")) == {("single_label", "error")}


def test_check_refuses_truths_without_enhancing_tumor(tmp_path: Path) -> None:
    assert codes(renumber(write_dataset(tmp_path), {4: 1})) == {("no_enhancing_tumor", "error")}


@pytest.mark.parametrize("values", [{4: 3}, {1: 2, 2: 1, 4: 3}, {4: 1, 2: 3, 1: 2}])
def test_check_asks_what_one_to_three_mean_in_names_that_do_not_tell(tmp_path: Path, values: dict[int, int]) -> None:
    folder = renumber(write_dataset(tmp_path / "lab"), values)
    (finding,) = check_dataset(read_dataset(folder)).errors
    assert finding.code == "label_scheme"
    assert "P_0" in finding.message
    assert all(f"{name} (" in finding.message for name in ("brats2023", "msd", "brats-ped"))
    assert not check_dataset(read_dataset(folder, "msd")).errors
    (folder / "P_0").rename(folder / "BraTS2021_00000")
    assert "P_1" in check_dataset(read_dataset(folder)).errors[0].message


def write_pediatric(folder: Path, values: dict[int, int]) -> Path:
    for seed in range(2):
        write_patient_folder(folder, f"BraTS-PED-0000{seed}-000", seed, NAMES_2023)
    return renumber(folder, values)


@pytest.mark.parametrize("values", [{4: 1, 2: 4, 1: 3}, {4: 1, 2: 2, 1: 3}, {4: 3}])
def test_check_asks_which_pediatric_scheme_it_is(tmp_path: Path, values: dict[int, int]) -> None:
    folder = write_pediatric(tmp_path, values)
    assert ("label_scheme", "error") in codes(folder)


def test_pediatric_labels_are_read_as_said(tmp_path: Path) -> None:
    folder = write_pediatric(tmp_path, {4: 1, 2: 4, 1: 3})
    assert codes(folder, "brats-ped") == set()
    for seed, case in enumerate(read_dataset(folder, "brats-ped").cases):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_truth(case)), true_labels(seed))


def test_resection_cavity_is_no_tumor_if_said(tmp_path: Path) -> None:
    for seed in range(2):
        write_patient_folder(tmp_path, f"BraTS-GLI-0200{seed}-100", seed, NAMES_2023, et=3)
    labels = np.where(true_labels(1) == 4, 3, true_labels(1))
    labels[:5, :5, :5] = 4
    sitk.WriteImage(GRID.image(labels), tmp_path / "BraTS-GLI-02001-100" / "BraTS-GLI-02001-100-seg.nii")
    (finding,) = check_dataset(read_dataset(tmp_path)).findings
    assert "--labels brats2024" in finding.message
    assert codes(tmp_path, "brats2024") == set()
    truth = sitk.GetArrayFromImage(read_truth(read_dataset(tmp_path, "brats2024").cases[1]))
    np.testing.assert_array_equal(truth, true_labels(1))


def test_labels_of_a_decathlon_folder_are_read_as_said(tmp_path: Path) -> None:
    renumber(write_dataset(tmp_path, 1), {2: 1, 1: 2, 4: 3})
    truth = sitk.GetArrayFromImage(read_truth(read_dataset(tmp_path, "msd").cases[0]))
    np.testing.assert_array_equal(truth, true_labels())


@pytest.mark.parametrize("factor", [1.012, 0.99, 1 + 1e-6])
def test_label_values_a_hair_off_whole_numbers_are_read(tmp_path: Path, factor: float) -> None:
    write_dataset(tmp_path, 1)
    sitk.WriteImage(GRID.image(true_labels() * np.float32(factor)), tmp_path / "P_0" / "P_0_seg.nii")
    truth = sitk.GetArrayFromImage(read_truth(read_dataset(tmp_path).cases[0]))
    np.testing.assert_array_equal(truth, true_labels())


def test_train_and_check_take_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pediatric(tmp_path / "data", {4: 1, 2: 4, 1: 3})
    assert main(["dataset", "check", str(folder)]) == 3
    assert "--labels brats-ped" in capsys.readouterr().out
    assert main(["dataset", "check", str(folder), "--labels", "brats-ped"]) == 0
    assert main(["train", "--data", str(folder), "--output", str(tmp_path / "e"), "--device", "cpu"]) == 3
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    "name", ["P_1_dseg", "P_1_tumorMask", "P_1_tumor_mask", "lesion-roi", "P_1_GT", "P_1_GlistrBoost_ManuallyCorrected"]
)
def test_ground_truth_is_found_by_other_names(tmp_path: Path, name: str) -> None:
    write_dataset(tmp_path)
    truth = tmp_path / "P_1" / f"{name}.nii"
    (tmp_path / "P_1" / "P_1_seg.nii").rename(truth)
    dataset = read_dataset(tmp_path)
    assert (dataset.cases[1].truth, dataset.findings) == (truth, ())


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        (("brain_segmentation", "brain_parenchyma_segmentation"), "tumor_segmentation"),
        (("seg",), "tumor_seg"),
        (("GlistrBoost",), "GlistrBoost_ManuallyCorrected"),
        (("brain_mask", "pred_seg"), "seg"),
    ],
)
def test_ground_truth_is_chosen_and_the_others_named(tmp_path: Path, others: tuple[str, ...], chosen: str) -> None:
    write_dataset(tmp_path)
    folder = tmp_path / "P_1"
    (folder / "P_1_seg.nii").rename(folder / f"P_1_{chosen}.nii")
    for other in others:
        sitk.WriteImage(truth_image(), folder / f"P_1_{other}.nii")
    dataset = read_dataset(tmp_path)
    assert dataset.cases[1].truth == folder / f"P_1_{chosen}.nii"
    (finding,) = dataset.findings
    assert (finding.code, finding.severity, finding.case) == ("passed_over", "warning", "P_1")
    assert all(f"P_1_{other}.nii" in finding.message for other in others)


def test_check_names_the_files_that_were_taken_for_nothing(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "P_1" / "P_1_seg.nii").rename(tmp_path / "P_1" / "P_1_outline.nii")
    (finding,) = check_dataset(read_dataset(tmp_path)).errors
    assert finding.code == "missing_truth"
    assert "P_1_outline.nii" in finding.message


def test_read_dataset_takes_the_plain_version_of_each_scan(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    for sequence, image in scans(1).items():
        sitk.WriteImage(image * 2, tmp_path / "P_1" / f"P_1_{sequence.lower()}_bias.nii")
    dataset = read_dataset(tmp_path)
    assert {source.path.name for source in dataset.cases[1].images.values()} == {
        "P_1_t1.nii",
        "P_1_t1ce.nii",
        "P_1_t2.nii",
        "P_1_flair.nii",
    }
    (finding,) = dataset.findings
    assert finding.case == "P_1"
    assert "P_1_t1ce_bias.nii" in finding.message
