"""``tokenunet segment`` on what scanners make: DICOM, scans on grids of their own, heads with their skull."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_fixtures import write_dicom_study
from model_fixtures import SMALL_MANIFEST, small_bundle
from scan_fixtures import REAL_PATIENT, needs_real_patient
from tokenunet.cli import main
from tokenunet.core.grid import Grid
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.synthesis import synthetic_patient

from tools.registration import moved, random_motion


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("model") / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))


def segmented(folder: Path, model: Path, *options: str) -> tuple[Path, dict]:
    output = folder / "out"
    assert main(["segment", "--input", str(folder), "--output", str(output), "--model", str(model), *options]) == 0
    return output, json.loads((output / "run.json").read_text())


def test_dicom_goes_in_and_a_valid_dicom_segmentation_comes_out(tmp_path: Path, model: Path) -> None:
    files = write_dicom_study(tmp_path)
    output, report = segmented(tmp_path, model, "--dicom-seg", "--dicom-out", str(tmp_path / "dicom"))
    assert all(scan["confidence"] > 0.7 and scan["because"] for scan in report["inputs"].values())
    assert sitk.ReadImage(output / "labels.nii.gz").GetSize()[2] == len(files["T1ce"])
    assert {"segmentation.dcm", "measurements.dcm", "key_slice_1.dcm"} <= {
        p.name for p in (tmp_path / "dicom").iterdir()
    }
    if which("dciodvfy") is None:
        pytest.skip("dciodvfy, of dicom3tools, is not installed")
    said = subprocess.run(["dciodvfy", "-new", output / "segmentation.dcm"], capture_output=True, text=True).stderr
    assert said.strip() == "Segmentation"


def test_a_dicom_segmentation_needs_a_dicom_reference(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sequence, scan in synthetic_study(synthetic_patient(1, 4.0))[0].scans.items():
        sitk.WriteImage(scan.image, tmp_path / f"{sequence}.nii.gz")
    command = ["segment", "--input", str(tmp_path), "--output", str(tmp_path / "out"), "--model", str(model)]
    assert main([*command, "--dicom-seg"]) == 2
    assert "DICOM" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dicom_results_need_a_folder_without_earlier_ones(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "segmentation.dcm").touch()
    command = ["segment", "--input", str(tmp_path), "--output", str(tmp_path / "out"), "--model", str(model)]
    assert main([*command, "--dicom-out", str(tmp_path / "dicom")]) == 6
    assert "already holds results" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        ({"truncated": "T2"}, 3, "damaged"),
        ({"without_a_slice": "FLAIR"}, 3, "missing"),
        ({"mixed_patients": True}, 3, "patients"),
    ],
)
def test_broken_dicom_is_refused_in_a_sentence(
    broken: dict, code: int, words: str, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom_study(tmp_path / "study", **broken)
    output = tmp_path / "out"
    command = ["segment", "--input", str(tmp_path / "study"), "--output", str(output), "--model", str(model)]
    assert main(command) == code
    assert words in capsys.readouterr().err
    assert not output.exists()


def test_a_moved_scan_gets_its_transform_its_labels_and_pictures(tmp_path: Path, model: Path) -> None:
    scans = synthetic_study(synthetic_patient(2, 2.0))[0].scans
    motion = random_motion(np.random.default_rng(5), scans["T2"].image.TransformIndexToPhysicalPoint((60, 60, 38)))
    for sequence, scan in scans.items():
        image = moved(scan.image, motion, (1.5, 1.5, 4.0)) if sequence == "T2" else scan.image
        sitk.WriteImage(image, tmp_path / f"{sequence}.nii.gz")
    output, report = segmented(tmp_path, model)
    assert set(report["alignments"]) == {"T1", "T2", "FLAIR"}
    found = sitk.ReadTransform(output / "transforms" / "T2.tfm")
    for point in ((0.0, 0.0, 0.0), (50.0, 40.0, 60.0)):
        assert np.linalg.norm(np.subtract(found.TransformPoint(point), motion.TransformPoint(point))) < 3
    native = sitk.ReadImage(tmp_path / "T2.nii.gz")
    assert Grid.of(sitk.ReadImage(output / "labels_T2.nii.gz")).same_as(Grid.of(native))
    page = (output / "quality.html").read_text()
    assert page.count("data:image/png") == 3 * (2 * 3 + 1)
    assert ": unreliable" not in page


@needs_real_patient
@pytest.mark.slow
def test_a_real_raw_study_needs_no_other_argument(tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert main(["segment", "--input", str(REAL_PATIENT / "raw"), "--output", str(output)]) == 0
    report = json.loads((output / "run.json").read_text())
    assert report["brain_extracted"]
    for sequence in ("T1", "T2", "FLAIR"):
        native = Grid.of(sitk.ReadImage(REAL_PATIENT / "raw" / f"{sequence.lower()}.nii.gz"))
        assert Grid.of(sitk.ReadImage(output / f"labels_{sequence}.nii.gz")).same_as(native)
    brain = sitk.ReadImage(output / "brain.nii.gz")
    assert 1000 < sitk.GetArrayViewFromImage(brain).sum() * Grid.of(brain).voxel_ml < 2000
