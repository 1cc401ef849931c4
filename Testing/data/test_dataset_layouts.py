"""Every layout gives the same scans by name, and the same labels whatever the files' scheme."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import (
    NAMES_2023,
    PLAIN_LABELS,
    REGION_LABELS,
    scans,
    true_labels,
    write_csv,
    write_dataset,
    write_msd,
    write_nnunet,
    write_patient_folder,
)
from tokenunet.core.errors import DatasetError
from tokenunet.core.label_names import labels_of
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import Dataset, dataset_from_json, dataset_to_json, read_dataset, read_scans, read_truth


def brats_2018(root: Path) -> Path:
    write_patient_folder(root / "HGG", "Brats18_TCIA01_131_1", 0, ending=".nii.gz")
    write_patient_folder(root / "LGG", "Brats18_2013_10_1", 1)
    return root


def brats_2023(root: Path) -> Path:
    write_patient_folder(root, "BraTS-GLI-00001-000", 0, NAMES_2023, et=3)
    write_patient_folder(root, "BraTS-GLI-00001-001", 1, NAMES_2023, et=3)
    return root


def fets(root: Path) -> Path:
    names = {"T1": "_brain_t1n", "T1ce": "_brain_t1c", "T2": "_brain_t2w", "FLAIR": "_brain_t2f", "truth": "_final_seg"}
    for seed, patient in enumerate(("A", "B")):
        folder = write_patient_folder(root / patient, f"{patient}_2008.03.30", seed, names)
        folder.rename(root / patient / "2008.03.30")
    return root


def fets_2022(root: Path) -> Path:
    for seed in range(2):
        write_patient_folder(root, f"FeTS2022_0000{seed}", seed)
    return root


LAYOUTS: list[tuple[Callable[[Path], Path], str, dict[str, str]]] = [
    (
        brats_2018,
        "BraTS 2018-2021",
        {"Brats18_2013_10_1": "Brats18_2013_10", "Brats18_TCIA01_131_1": "Brats18_TCIA01_131"},
    ),
    (
        brats_2023,
        "BraTS 2023",
        {"BraTS-GLI-00001-000": "BraTS-GLI-00001", "BraTS-GLI-00001-001": "BraTS-GLI-00001"},
    ),
    (fets, "FeTS", {"A_2008.03.30": "A", "B_2008.03.30": "B"}),
    (fets_2022, "FeTS", {"FeTS2022_00000": "FeTS2022_00000", "FeTS2022_00001": "FeTS2022_00001"}),
    (write_msd, "MSD", {"BRATS_000": "BRATS_000", "BRATS_001": "BRATS_001"}),
    (
        lambda root: write_msd(root, ("T1ce", "T2", "FLAIR", "T1")),
        "MSD",
        {"BRATS_000": "BRATS_000", "BRATS_001": "BRATS_001"},
    ),
    (lambda root: write_nnunet(root, REGION_LABELS), "nnU-Net", {"case_0": "case_0", "case_1": "case_1"}),
    (lambda root: write_nnunet(root, PLAIN_LABELS, ".nrrd"), "nnU-Net", {"case_0": "case_0", "case_1": "case_1"}),
    (
        lambda root: write_nnunet(root, {"0": "background", "1": "edema", "2": "NET", "3": "ET"}, version=1),
        "nnU-Net",
        {"case_0": "case_0", "case_1": "case_1"},
    ),
    (write_csv, "CSV", {"P_0": "Patient 0", "P_1": "Patient 1"}),
    (lambda root: write_csv(root, ";"), "CSV", {"P_0": "Patient 0", "P_1": "Patient 1"}),
]


def seeds(dataset: Dataset) -> list[int]:
    """Which patient each case was made as."""
    return [1, 0] if dataset.cases[0].name.startswith("Brats18") else [0, 1]


@pytest.mark.parametrize(("write", "layout", "patients"), LAYOUTS)
def test_scans_and_truth_are_the_same_in_every_layout(
    tmp_path: Path, write: Callable[[Path], Path], layout: str, patients: dict[str, str]
) -> None:
    dataset = read_dataset(write(tmp_path / "data"))
    assert dataset.layout == layout
    assert {case.name: case.patient for case in dataset.cases} == patients
    assert not dataset.findings
    for case, seed in zip(dataset.cases, seeds(dataset), strict=True):
        study = read_scans(case)
        for sequence in SEQUENCES:
            expected = sitk.GetArrayFromImage(scans(seed)[sequence])
            np.testing.assert_array_equal(sitk.GetArrayFromImage(study.scans[sequence].image), expected)
        truth = read_truth(case)
        assert truth.GetPixelID() == sitk.sitkUInt8
        np.testing.assert_array_equal(sitk.GetArrayFromImage(truth), true_labels(seed))
        assert truth.GetOrigin() == pytest.approx(study.scans["T1"].image.GetOrigin())
        assert truth.GetSpacing() == pytest.approx(study.scans["T1"].image.GetSpacing())


def test_a_dataset_survives_json(tmp_path: Path) -> None:
    dataset = read_dataset(write_msd(tmp_path / "data"))
    assert dataset_from_json(json.loads(json.dumps(dataset_to_json(dataset)))) == dataset


def test_folders_of_the_same_name_are_two_cases_of_one_patient(tmp_path: Path) -> None:
    for seed, grade in enumerate(("HGG", "LGG")):
        write_patient_folder(tmp_path / grade, "P", seed)
    dataset = read_dataset(tmp_path)
    assert [(case.name, case.patient) for case in dataset.cases] == [("HGG_P", "P"), ("LGG_P", "P")]


def test_two_truths_in_a_folder_are_told_and_the_others_still_found(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "P_1" / "P_1_old_seg.nii").touch()
    dataset = read_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["P_0", "P_2"]
    (finding,) = dataset.findings
    assert (finding.code, finding.severity, finding.case) == ("ambiguous_sequence", "error", "P_1")
    assert "P_1_old_seg.nii and P_1_seg.nii" in finding.message


def test_the_misnamed_truth_of_brats_2020_is_found(tmp_path: Path) -> None:
    folder = write_patient_folder(tmp_path, "BraTS20_Training_355")
    odd = folder / "W39_1998.09.19_Segm.nii"
    (folder / "BraTS20_Training_355_seg.nii").rename(odd)
    assert read_dataset(tmp_path).cases[0].truth == odd


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    write_patient_folder(tmp_path / "deep", "P")
    (tmp_path / "deep" / "again").symlink_to(tmp_path)
    assert [case.name for case in read_dataset(tmp_path).cases] == ["P"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "No patients were found"),
        ({"imagesTr/x.nii.gz": ""}, "no dataset.json"),
        ({"imagesTr/x.nii.gz": "", "dataset.json": "{"}, "is not valid JSON"),
        ({"imagesTr/x.nii.gz": "", "dataset.json": "[]"}, "names no labels"),
        ({"imagesTr/x.nii.gz": "", "dataset.json": '{"labels": {"edema": 1}}'}, "names no channels"),
        (
            {"imagesTr/x.nii.gz": "", "dataset.json": '{"labels": {}, "modality": {"0": "T1", "1": "CT"}}'},
            "names no channel for T1ce, T2, FLAIR; it has T1, CT",
        ),
        ({"x.csv": "case,T1,T2\n"}, "has no column T1ce, FLAIR, truth"),
        ({"x.csv": ""}, "is empty"),
        ({"x.csv": "case,T1,T1ce,T2,FLAIR,truth\n"}, "No patients were found"),
        ({"x.csv": "case,T1,T1ce,T2,FLAIR,truth\na,../b,,,,\n"}, "names ../b, which leaves the folder of the CSV file"),
        ({"x.csv": "case,T1,T1ce,T2,FLAIR,truth\na/../b,c,,,,\n"}, "'a/../b' in .* cannot name a case"),
        ({"x.csv": "case,T1,T1ce,T2,FLAIR,truth\na,c,,,,\nA,d,,,,\n"}, "2 cases named a"),
    ],
)
def test_what_is_no_dataset_is_refused_with_a_sentence(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=sentence) as caught:
        read_dataset(tmp_path / "x.csv" if "x.csv" in files else tmp_path)
    assert caught.value.hint


def test_a_path_that_is_not_there_and_a_file_that_is_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no folder or CSV"):
        read_dataset(tmp_path / "none")
    (tmp_path / "x.nii.gz").write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(DatasetError, match="is not a CSV file"):
        read_dataset(tmp_path / "x.nii.gz")


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ({"background": 0, "NCR": 1, "ED": 2, "ET": 3, "ignore": 4}, {0: 0, 1: 1, 2: 2, 3: 4}),
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing"}, {0: 0, 1: 2, 2: 1, 3: 4}),
        ({"whole_tumor": [1, 2, 4], "tumor_core": [1, 4], "enhancing_tumor": 4}, {0: 0, 1: 1, 2: 2, 4: 4}),
        ({"WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}, {0: 0, 1: 1, 2: 2, 3: 4}),
        (
            {
                "non-enhancing tumor core": 1,
                "surrounding non-enhancing FLAIR hyperintensity": 2,
                "enhancing tumor core": 3,
            },
            {0: 0, 1: 1, 2: 2, 3: 4},
        ),
        ({"edema": 1, "necrosis": 2}, "no label for ET"),
        ({"whole tumor": [1, 2]}, "no label for TC"),
        ({"whole tumor": 1, "tumor core": 2, "enhancing tumor": 3}, "not nested"),
        ({"edema": 1, "necrosis": 1, "enhancing": 3}, "two meanings"),
        ({"NETC": 1, "SNFH": 2, "ET": 3, "resection cavity": 4}, {0: 0, 1: 1, 2: 2, 3: 4, 4: 0}),
        ({"ET": 1, "NET": 2, "cystic component": 3, "ED": 4}, {0: 0, 1: 4, 2: 1, 3: 1, 4: 2}),
        ({"edema": 1, "bone flap": 4}, '"bone flap" in dataset.json is not understood'),
    ],
)
def test_labels_are_understood_by_name_or_refused(names: dict[str, object], values: dict[int, int] | str) -> None:
    if isinstance(values, str):
        with pytest.raises(DatasetError, match=values):
            labels_of(names)
    else:
        assert labels_of(names) == values


def test_read_dataset_names_unknown_columns_broken_links_and_archives(tmp_path: Path) -> None:
    table = write_csv(tmp_path)
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    more = ["T1_raw,hospital", "wrong.nii,North", "wrong.nii,South"]
    table.write_text("\n".join(map(",".join, zip(lines, more, strict=True))))
    dataset = read_dataset(table)
    assert [(f.code, f.message) for f in dataset.findings] == [
        ("unknown_columns", "Columns of patients.csv that were ignored: T1_raw, hospital.")
    ]
    assert all(case.images["T1"].path.name != "wrong.nii" for case in dataset.cases)
    (tmp_path / "files" / "P_7").symlink_to(tmp_path / "gone")
    (tmp_path / "files" / "P_8.zip").touch()
    findings = {f.code: f.message for f in read_dataset(tmp_path / "files").findings}
    assert findings.keys() == {"broken_link", "ignored_file"}
    assert "P_7" in findings["broken_link"]
    assert "P_8.zip" in findings["ignored_file"]
