"""An imported model in a batch, with a DICOM study, and in reports: what it does differently is no difference."""

import json
from pathlib import Path

import pytest
from batch_runs import table
from dicom_fixtures import write_dicom_study
from foreign_models import write_monai_bundle
from pydicom import dcmread
from scan_fixtures import study, write_study
from tokenunet.bundle.store import import_model
from tokenunet.cli import main


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MONAI bundle in a folder of models of its own."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENUNET_MODELS", str(folder))
        return import_model(write_monai_bundle(folder / "foreign"))


def report_of(output: Path) -> dict:
    return json.loads((output / "run.json").read_text())


def test_batch_with_an_imported_model_is_continued(imported: Path, tmp_path: Path) -> None:
    """Windows are the model's own mode: the second call of the same command skips both patients."""
    for name, seed in (("anna", 1), ("bert", 2)):
        (tmp_path / "patients" / name).mkdir(parents=True)
        write_study(tmp_path / "patients" / name, study(seed=seed))
    out = tmp_path / "out"
    command = ["segment", "--batch", str(tmp_path / "patients"), "--model", str(imported), "--output", str(out)]
    assert main([*command, "--device", "cpu"]) == 0
    assert [row["status"] for row in table(out).values()] == ["ok", "ok"]
    assert main([*command, "--device", "cpu"]) == 0
    assert [row["status"] for row in table(out).values()] == ["skipped", "skipped"]
    report = report_of(out / "anna")
    assert (report["mode"], report["overlap"], report["passes"]) == ("sliding_window", 0.5, 1)
    assert report["model"]["framework"] == "MONAI"


def test_dicom_study_with_an_imported_model_gets_a_dicom_segmentation(imported: Path, tmp_path: Path) -> None:
    write_dicom_study(tmp_path / "study")
    out = tmp_path / "out"
    command = ["segment", "--input", str(tmp_path / "study"), "--model", str(imported), "--output", str(out)]
    assert main([*command, "--dicom-seg", "--device", "cpu"]) == 0
    written = dcmread(out / "segmentation.dcm")
    assert len(written.SegmentSequence) == 3
    assert "BraTS MRI segmentation" in str(written.SegmentSequence[0])
