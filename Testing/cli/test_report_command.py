"""``tokenunet report``: page, PDF and DICOM of a result that lies in its folder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from dicom_fixtures import write_dicom_study
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.io.result_files import DICOM_SEG, REPORT_FILES
from tokenunet.report.report import Report


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Result of a DICOM study, made by a network that has learnt nothing and marks large parts of the brain."""
    folder = tmp_path_factory.mktemp("patient_7")
    write_dicom_study(folder / "study")
    model = small_bundle(folder / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))
    command = ["segment", "--input", str(folder / "study"), "--output", str(folder / "result"), "--model", str(model)]
    assert main([*command, "--dicom-out", str(folder / "result"), "--progress", "none"]) == 0
    assert (folder / "result" / DICOM_SEG).exists(), "objects may be written next to the results"
    return folder / "result"


def test_report_is_one_page_one_pdf_and_dicom(result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", str(result), "--patient", "Zażółć <7>", "--dicom-out", str(tmp_path / "dicom")]
    assert main(command) == 0
    page = (result / "report.html").read_text(encoding="utf-8")
    run = json.loads((result / "run.json").read_text())
    assert "Zażółć &lt;7&gt;" in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page.replace("http-equiv", "")
    for words in ("Key slices", "Location", "Extent over the midplane", f"{run['volumes_ml']['WT']:.2f} ml"):
        assert words in page
    assert (result / "report.pdf").read_bytes().startswith(b"%PDF")
    assert {"segmentation.dcm", "measurements.dcm"} <= {path.name for path in (tmp_path / "dicom").iterdir()}
    assert main(command) == 6, "an earlier report is replaced only if that is asked for"
    assert "already holds" in capsys.readouterr().err


def test_report_made_again_keeps_the_name(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def drawn(_run: object, _scan: object, _regions: object, patient: str, _brain: object) -> Report:
        names.append(patient)
        return Report("page", b"%PDF")

    monkeypatch.setattr("tokenunet.report.report.make_report", drawn)
    assert main(["report", str(result), "--patient", "Anna", "--force"]) == 0
    for name in REPORT_FILES:  # as when corrections are saved
        (result / name).unlink()
    assert main(["report", str(result)]) == 0
    assert names == ["Anna", "Anna"]


def test_dicom_takes_the_series_from_another_folder_and_keeps_the_uids(result: Path, tmp_path: Path) -> None:
    run = json.loads((result / "run.json").read_text())
    series = Path(run["inputs"][run["reference"]]["series"]["folder"])
    uids = []
    for name, source in (("there", []), ("elsewhere", ["--source", str(shutil.copytree(series, tmp_path / "copy"))])):
        assert main(["dicom", str(result), "--output", str(tmp_path / name), *source]) == 0
        uids.append(pydicom.dcmread(tmp_path / name / "segmentation.dcm", stop_before_pixels=True).SOPInstanceUID)
    assert uids[0] == uids[1]
    (result / "labels.nii.gz").rename(tmp_path / "labels.nii.gz")
    code = main(["dicom", str(result), "--output", str(tmp_path / "there")])
    (tmp_path / "labels.nii.gz").rename(result / "labels.nii.gz")
    assert code == 6, "an occupied folder is refused before the result is read"


def test_report_needs_the_scan_that_was_segmented(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom_study(tmp_path / "other", seed=2)
    assert main(["report", str(result), "--scan", str(tmp_path / "other"), "--force"]) == 3
    assert "does not hold the series" in capsys.readouterr().err
    assert main(["report", str(result), "--scan", str(tmp_path / "absent"), "--force"]) == 3
    assert "is not there" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 3
    assert "holds no result" in capsys.readouterr().err
