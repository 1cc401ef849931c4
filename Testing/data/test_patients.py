"""Time points of one patient are put together by names, and different patients are not."""

import pytest
from tokenunet.data.patients import names_and_patients, patients_of_names, same_spelling


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        ("GBM-00001_11 GBM-00001_21 GBM-00002_11", "GBM-00001 GBM-00001 GBM-00002"),
        ("GBM-00001_11 GBM-00001_21", "GBM-00001 GBM-00001"),
        ("sub-01_ses-02 sub-01_ses-pre sub-02", "sub-01 sub-01 sub-02"),
        ("X_0003_Timepoint_1 X_0003_Timepoint_12", "X_0003 X_0003"),
        ("P001_pre P001_post-op P001_week-12", "P001 P001 P001"),
        ("alice_visit1 alice_baseline", "alice alice"),
        ("UCSF-PDGM-0429_FU001d_nifti UCSF-PDGM-0429_nifti", "UCSF-PDGM-0429 UCSF-PDGM-0429"),
        ("TCGA-02-0006_1996.08.23 TCGA-02-0009_1997.06.14", "TCGA-02-0006 TCGA-02-0009"),
        ("BraTS-MET-00001-000 BraTS-MET-00001-001", "BraTS-MET-00001 BraTS-MET-00001"),
        ("Brats18_2013_10_1 Brats18_2013_11_1", "Brats18_2013_10 Brats18_2013_11"),
        ("P001a P001b P002a P002b", "P001 P001 P002 P002"),
        ("P001_A P001_B P002_A P002_B P003_A", "P001 P001 P002 P002 P003_A"),
        ("Smith_1 Smith_2 Jones_1 Jones_2", "Smith Smith Jones Jones"),
        ("P1_avant P1_apres P2_avant P2_apres", "P1 P1 P2 P2"),
        ("患者1_术前 患者1_术后 患者2_术前 患者2_术后", "患者1 患者1 患者2 患者2"),
        ("P001_3months P001_12months P002_5months", "P001 P001 P002"),
        ("Doe_2019-01 Doe_2020-06", "Doe Doe"),
        ("pre_P001 post_P001 pre-op_P002", "P001 P001 P002"),
        ("sub-01_run-1 sub-01_run-2 sub-02_run-1 sub-02_run-2", "sub-01_run sub-01_run sub-02_run sub-02_run"),
    ],
)
def test_patients_of_names_joins_time_points(names: str, patients: str) -> None:
    assert patients_of_names(names.split()) == patients.split()


@pytest.mark.parametrize(
    "names",
    [
        "BraTS2021_00000 BraTS2021_00001",
        "BraTS20_Training_001 BraTS20_Training_002",
        "FeTS2022_00001 FeTS2022_00002",
        "case_0 case_1",
        "BRATS_000 BRATS_001",
        "scan_1 scan_2",
        "Patient-001 Patient-002",
        "a8f3 b7c2 c901",
        "siteA_patient01 siteA_patient02 siteB_patient01 siteB_patient02",
        "TCGA-06-0125 TCGA-06-0126 TCGA-14-0125 TCGA-14-0126",
        "Smith_John Smith_Mary Jones_Peter Jones_Ann",
        " ".join(f"site{s}_{n:03d}" for s in (1, 2) for n in range(30)),
    ],
)
def test_patients_of_names_keeps_patients_apart(names: str) -> None:
    assert patients_of_names(names.split()) == names.split()


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("Pat-0/week-000 Pat-0/week-020", "Pat-0_week-000:Pat-0 Pat-0_week-020:Pat-0"),
        ("A/2008.03.30 B/2008.03.30", "A_2008.03.30:A B_2008.03.30:B"),
        ("sub-01/ses-1/anat sub-01/ses-2/anat sub-02/anat", "sub-01_ses-1:sub-01 sub-01_ses-2:sub-01 sub-02:sub-02"),
        ("anna/first anna/second bert/first", "anna_first:anna anna_second:anna bert_first:bert"),
        ("site1/P001/pre site1/P001/post site2/P002/pre", "P001_pre:P001 P001_post:P001 P002_pre:P002"),
        ("GBM-00001/a GBM-00001/b", "GBM-00001_a:GBM-00001 GBM-00001_b:GBM-00001"),
        ("Smith/1 Smith/2", "Smith_1:Smith Smith_2:Smith"),
        ("week-000 week-002", "data_week-000:data data_week-002:data"),
        ("HGG/P LGG/P", "HGG_P:P LGG_P:P"),
        ("HGG/P_1 LGG/Q_1", "P_1:P_1 Q_1:Q_1"),
        ("001 002", "001:001 002:002"),
        ("train/001 val/002", "001:001 002:002"),
        ("site1/A site1/B site2/C", "A:A B:B C:C"),
        ("baseline/P01 followup/P01 baseline/P02", "baseline_P01:P01 followup_P01:P01 P02:P02"),
        ("tp1/Smith tp2/Smith", "tp1_Smith:Smith tp2_Smith:Smith"),
        ("early/P01 late/P01 early/P02 late/P02", "early_P01:P01 late_P01:P01 early_P02:P02 late_P02:P02"),
        ("0012345/A010001 0012345/A020001", "0012345_A010001:0012345 0012345_A020001:0012345"),
    ],
)
def test_names_and_patients_follows_folders(folders: str, expected: str) -> None:
    found = names_and_patients([tuple(folder.split("/")) for folder in folders.split()], "data")
    assert [f"{name}:{patient}" for name, patient in found] == expected.split()


def test_same_spelling_joins_upper_and_lower_case() -> None:
    assert same_spelling(["P1", "p1", "Q"]) == ["P1", "P1", "Q"]
