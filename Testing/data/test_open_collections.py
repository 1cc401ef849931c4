"""The open collections are read as they are published: every layout from empty files with the published names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenunet.core.label_schemes import BRATS_2023_LABELS, BRATS_LABELS, LABEL_SCHEMES, LabelValues
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import Dataset, read_dataset

UCSF_PDGM = [
    "ADC",
    "ASL",
    "DTI_eddy_FA",
    "DTI_eddy_L1",
    "DTI_eddy_L2",
    "DTI_eddy_L3",
    "DTI_eddy_MD",
    "DTI_eddy_noreg",
    "DWI",
    "DWI_bias",
    "FLAIR",
    "FLAIR_bias",
    "SWI",
    "SWI_bias",
    "T1",
    "T1_bias",
    "T1c",
    "T1c_bias",
    "T2",
    "T2_bias",
    "brain_parenchyma_segmentation",
    "brain_segmentation",
    "tumor_segmentation",
]


def touch(root: Path, *names: str) -> Path:
    """Write empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def ucsf_pdgm(root: Path) -> Path:
    for exam in ("UCSF-PDGM-0004", "UCSF-PDGM-0429", "UCSF-PDGM-0429_FU001d"):
        touch(root, *(f"{exam}_nifti/{exam}_{kind}.nii.gz" for kind in UCSF_PDGM))
    return root


def upenn_gbm(root: Path) -> Path:
    nifti = root / "NIfTI-files"
    for exam in ("UPENN-GBM-00001_11", "UPENN-GBM-00002_11", "UPENN-GBM-00002_21"):
        for kind in ("T1", "T1GD", "T2", "FLAIR"):
            touch(nifti, f"images_structural/{exam}/{exam}_{kind}.nii.gz")
            touch(nifti, f"images_structural_unstripped/{exam}/{exam}_{kind}_unstripped.nii.gz")
        touch(nifti, f"images_DTI/images_DTI/{exam}/{exam}_DTI_FA.nii.gz")
    for exam in ("UPENN-GBM-00001_11", "UPENN-GBM-00002_11"):
        touch(nifti, f"automated_segm/{exam}_automated_approx_segm.nii.gz", f"images_segm/{exam}_segm.nii.gz")
    return root


def brats_tcga(root: Path) -> Path:
    corrected, automatic = "TCGA-02-0006/TCGA-02-0006_1996.08.23", "TCGA-02-0070/TCGA-02-0070_2000.12.13"
    for exam in (corrected, automatic):
        touch(root, *(f"{exam}_{kind}.nii.gz" for kind in ("flair", "t1", "t1Gd", "t2", "GlistrBoost")))
    return touch(root, f"{corrected}_GlistrBoost_ManuallyCorrected.nii.gz")


def brats_2021_of_tcia(root: Path) -> Path:
    for collection, name in (("UCSF-PDGM", "BraTS2021_00000"), ("new-not-previously-in-TCIA", "BraTS2021_01000")):
        folder = f"BraTS2021_TrainingSet/{collection}/{name}/{name}"
        touch(root, *(f"{folder}_{kind}.nii.gz" for kind in ("flair", "seg", "t1", "t1ce", "t2")))
    return root


def brats_africa(root: Path) -> Path:
    for name in ("95_Glioma/BraTS-SSA-00002-000", "51_OtherNeoplasms/BraTS-SSA-00018-000"):
        stem = f"{name}/{name.split('/')[1]}"
        touch(root, *(f"{stem}-{kind}.nii.gz" for kind in ("seg", "t1c", "t1n", "t2f", "t2w")))
    return root


def mu_glioma_post(root: Path) -> Path:
    for patient, point in (("PatientID_0003", 1), ("PatientID_0003", 2), ("PatientID_0004", 1)):
        stem = f"{patient}/Timepoint_{point}/{patient}_Timepoint_{point}"
        touch(root, *(f"{stem}_{kind}.nii.gz" for kind in ("brain_t1c", "brain_t1n", "brain_t2f", "brain_t2w")))
        touch(root, f"{stem}_tumorMask.nii.gz")
    return root


def bids(root: Path) -> Path:
    touch(root, "dataset_description.json", "participants.tsv")
    for session in ("sub-01/ses-01", "sub-01/ses-02", "sub-02/ses-01"):
        stem = session.replace("/", "_")
        for kind in ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR"):
            touch(root, f"{session}/anat/{stem}_{kind}.nii.gz", f"{session}/anat/{stem}_{kind}.json")
        touch(root, f"{session}/dwi/{stem}_dwi.nii.gz")
        touch(root, f"derivatives/manual_masks/{session}/anat/{stem}_space-T1w_label-tumor_dseg.nii.gz")
        touch(root, f"derivatives/fmriprep/{session}/anat/{stem}_desc-brain_mask.nii.gz")
        touch(root, f"derivatives/fmriprep/{session}/anat/{stem}_dseg.nii.gz")
        touch(root, f"derivatives/fmriprep/{session}/anat/{stem}_space-MNI_T1w.nii.gz")
    return root


def shown(dataset: Dataset) -> dict[str, tuple[str, str, str]]:
    """Patient, T1ce and ground truth of each case by its name."""
    return {
        case.name: (case.patient, case.images["T1ce"].path.name, case.truth.name if case.truth else "")
        for case in dataset.cases
    }


@pytest.mark.parametrize(
    ("write", "layout", "values", "cases"),
    [
        (
            ucsf_pdgm,
            "BraTS 2018-2021",
            BRATS_LABELS,
            {
                f"{exam}_nifti": (patient, f"{exam}_T1c.nii.gz", f"{exam}_tumor_segmentation.nii.gz")
                for exam, patient in (
                    ("UCSF-PDGM-0004", "UCSF-PDGM-0004"),
                    ("UCSF-PDGM-0429", "UCSF-PDGM-0429"),
                    ("UCSF-PDGM-0429_FU001d", "UCSF-PDGM-0429"),
                )
            },
        ),
        (
            upenn_gbm,
            "UPENN-GBM",
            BRATS_LABELS,
            {
                f"UPENN-GBM-0000{n}_11": (
                    f"UPENN-GBM-0000{n}",
                    f"UPENN-GBM-0000{n}_11_T1GD.nii.gz",
                    f"UPENN-GBM-0000{n}_11_segm.nii.gz",
                )
                for n in (1, 2)
            },
        ),
        (
            brats_tcga,
            "BraTS 2018-2021",
            BRATS_LABELS,
            {
                "TCGA-02-0006": (
                    "TCGA-02-0006",
                    "TCGA-02-0006_1996.08.23_t1Gd.nii.gz",
                    "TCGA-02-0006_1996.08.23_GlistrBoost_ManuallyCorrected.nii.gz",
                ),
                "TCGA-02-0070": (
                    "TCGA-02-0070",
                    "TCGA-02-0070_2000.12.13_t1Gd.nii.gz",
                    "TCGA-02-0070_2000.12.13_GlistrBoost.nii.gz",
                ),
            },
        ),
        (
            brats_2021_of_tcia,
            "BraTS 2018-2021",
            BRATS_LABELS,
            {n: (n, f"{n}_t1ce.nii.gz", f"{n}_seg.nii.gz") for n in ("BraTS2021_00000", "BraTS2021_01000")},
        ),
        (
            brats_africa,
            "BraTS 2023",
            BRATS_2023_LABELS,
            {
                f"{n}-000": (n, f"{n}-000-t1c.nii.gz", f"{n}-000-seg.nii.gz")
                for n in ("BraTS-SSA-00002", "BraTS-SSA-00018")
            },
        ),
        (
            mu_glioma_post,
            "MU-Glioma-Post",
            LABEL_SCHEMES["brats2024"],
            {
                f"{patient}_Timepoint_{point}": (
                    patient,
                    f"{patient}_Timepoint_{point}_brain_t1c.nii.gz",
                    f"{patient}_Timepoint_{point}_tumorMask.nii.gz",
                )
                for patient, point in (("PatientID_0003", 1), ("PatientID_0003", 2), ("PatientID_0004", 1))
            },
        ),
        (
            bids,
            "BIDS",
            BRATS_LABELS,
            {
                f"sub-{s}_ses-{t}": (
                    f"sub-{s}",
                    f"sub-{s}_ses-{t}_ce-gadolinium_T1w.nii.gz",
                    f"sub-{s}_ses-{t}_space-T1w_label-tumor_dseg.nii.gz",
                )
                for s, t in (("01", "01"), ("01", "02"), ("02", "01"))
            },
        ),
    ],
)
def test_open_collection_is_read_as_published(
    tmp_path: Path,
    write: Callable[[Path], Path],
    layout: str,
    values: LabelValues,
    cases: dict[str, tuple[str, str, str]],
) -> None:
    dataset = read_dataset(write(tmp_path))
    assert shown(dataset) == cases
    assert dataset.layout == layout
    assert all(set(case.images) == set(SEQUENCES) and case.label_values == values for case in dataset.cases)
    assert not [finding for finding in dataset.findings if finding.severity == "error"]


def test_upenn_leaves_out_what_nobody_corrected(tmp_path: Path) -> None:
    dataset = read_dataset(upenn_gbm(tmp_path))
    (left_out,) = [finding for finding in dataset.findings if finding.code == "missing_truth"]
    assert left_out.message == "1 of 3 cases have no ground truth and are excluded."


def test_bids_takes_no_tissue_segmentation_for_the_ground_truth(tmp_path: Path) -> None:
    bids(tmp_path)
    for file in tmp_path.glob("derivatives/manual_masks/*/*/anat/*"):
        file.unlink()
    assert not any(case.truth for case in read_dataset(tmp_path).cases)
