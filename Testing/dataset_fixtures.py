"""Small labeled patients in every layout, quick to write."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scan_fixtures import GRID, study
from tokenunet.core.sequences import SEQUENCES, SequenceName

NAMES_2021 = {"T1": "_t1", "T1ce": "_t1ce", "T2": "_t2", "FLAIR": "_flair", "truth": "_seg"}
NAMES_2023 = {"T1": "-t1n", "T1ce": "-t1c", "T2": "-t2w", "FLAIR": "-t2f", "truth": "-seg"}


@cache
def scans(seed: int = 0) -> dict[SequenceName, sitk.Image]:
    """Four skull-stripped scans on `GRID`; every seed is another patient."""
    return {s: sitk.Cast(scan.image, sitk.sitkInt16) for s, scan in study(seed=seed).scans.items()}


def true_labels(seed: int = 0) -> NDArray[np.uint8]:
    """Canonical labels on `GRID`: a cube of edema (2) around enhancing tumor (4) around necrosis (1).

    It is elsewhere in every patient.
    """
    labels = np.zeros(GRID.size[::-1], np.uint8)
    labels[20:36, 26:42, 18:34] = 2
    labels[23:33, 29:39, 21:31] = 4
    labels[26:30, 32:36, 24:28] = 1
    return np.roll(labels, seed % 10, axis=2)


def truth_image(values: dict[int, int] | None = None, seed: int = 0) -> sitk.Image:
    """`true_labels` in a scheme with another value for each label."""
    labels = true_labels(seed)
    renumbered = labels.copy()
    for label, value in (values or {}).items():
        renumbered[labels == label] = value
    return GRID.image(renumbered)


def write_patient_folder(
    root: Path,
    name: str,
    seed: int = 0,
    names: dict[str, str] = NAMES_2021,
    ending: str = ".nii",
    et: int = 4,
) -> Path:
    """``name/name_t1.nii`` and so on; uncompressed, which is quicker."""
    folder = root / name
    folder.mkdir(parents=True)
    for sequence, image in scans(seed).items():
        sitk.WriteImage(image, folder / f"{name}{names[sequence]}{ending}")
    sitk.WriteImage(truth_image({4: et}, seed), folder / f"{name}{names['truth']}{ending}")
    return folder


def write_dataset(root: Path, patients: int = 3) -> Path:
    """Patients ``P_0``, ``P_1`` and so on, in folders as of BraTS 2021."""
    for seed in range(patients):
        write_patient_folder(root, f"P_{seed}", seed)
    return root


def write_msd(root: Path, order: tuple[SequenceName, ...] = ("FLAIR", "T1", "T1ce", "T2")) -> Path:
    """``Task01_BrainTumor`` with two patients, its names of channels and its labels."""
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    msd_names = {"FLAIR": "FLAIR", "T1": "T1w", "T1ce": "t1gd", "T2": "T2w"}
    description = {
        "modality": {str(n): msd_names[s] for n, s in enumerate(order)},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumor"},
    }
    (root / "dataset.json").write_text(json.dumps(description))
    for seed in range(2):
        image = sitk.JoinSeries([scans(seed)[s] for s in order])
        sitk.WriteImage(image, root / "imagesTr" / f"BRATS_00{seed}.nii.gz")
        (root / "imagesTr" / f"._BRATS_00{seed}.nii.gz").touch()
        sitk.WriteImage(truth_image({2: 1, 1: 2, 4: 3}, seed), root / "labelsTr" / f"BRATS_00{seed}.nii.gz")
    return root


REGION_LABELS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
PLAIN_LABELS = {"background": 0, "edema": 1, "non-enhancing and necrosis": 2, "enhancing": 3}


def write_nnunet(root: Path, labels: dict[str, object], ending: str = ".nii.gz", version: int = 2) -> Path:
    """Two patients as raw data of nnU-Net, with edema 1, necrosis 2, enhancing tumor 3."""
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    order: tuple[SequenceName, ...] = ("T2", "T1ce", "T1", "FLAIR")
    channels = {str(n): s for n, s in enumerate(order)}
    description: dict[str, object] = {"labels": labels}
    description |= {"channel_names": channels, "file_ending": ending} if version == 2 else {"modality": channels}
    (root / "dataset.json").write_text(json.dumps(description))
    for seed in range(2):
        for number, sequence in enumerate(order):
            sitk.WriteImage(scans(seed)[sequence], root / "imagesTr" / f"case_{seed}_{number:04d}{ending}")
        sitk.WriteImage(truth_image({2: 1, 1: 2, 4: 3}, seed), root / "labelsTr" / f"case_{seed}{ending}")
    return root


def write_csv(root: Path, separator: str = ",") -> Path:
    """Two patients, one in a folder below the CSV, one by absolute paths."""
    folders = [write_patient_folder(root / "files", f"P_{seed}", seed) for seed in range(2)]
    lines = [separator.join(("Case", "patient", "t1", "T1Gd", "T2", "flair", "Truth"))]
    for seed, folder in enumerate(folders):
        paths = [folder / f"P_{seed}{NAMES_2021[column]}.nii" for column in (*SEQUENCES, "truth")]
        shown = [str(path if seed else path.relative_to(root)) for path in paths]
        lines.append(separator.join((f"P_{seed}", f"Patient {seed}", *shown)))
    path = root / "patients.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path
