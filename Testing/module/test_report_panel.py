"""Sections "Diameters" and "Report and archive": lines that move, a page, and DICOM that reaches an archive."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host
import pydicom
import pytest
import SimpleITK as sitk
from dicom_fixtures import ACQUISITIONS, series_datasets
from highdicom import sr
from host.dicom_database import DicomDatabase, open_database
from module.driving import CommandHere, segment, wait_until
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt


@pytest.fixture
def result(module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch) -> Any:
    """A segmented patient, whose lesions were measured."""
    module.widget.reportPanel.start_worker = CommandHere
    result = segment(module)
    module.widget.diametersPanel._ui.resetLinesButton.click()
    return result


@pytest.fixture
def database(volumes: dict[str, Any], patient: Any, tmp_path: Path) -> Iterator[DicomDatabase]:
    """Slicer's database, from which T1ce was loaded."""
    attributes = ACQUISITIONS["T1ce"] | {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    uids = []
    with open_database(tmp_path / "database") as database:
        for dataset in series_datasets(sitk.ReadImage(patient.inputs["T1ce"]), generate_uid(), attributes):
            file = tmp_path / f"{dataset.InstanceNumber}.dcm"
            dataset.save_as(file, enforce_file_format=True)
            database.add(file)
            uids.append(dataset.SOPInstanceUID)
        volumes["T1ce"].SetAttribute("DICOM.instanceUIDs", " ".join(uids))
        yield database


@pytest.fixture
def archive() -> Iterator[tuple[str, list[str]]]:
    """An archive, as users name it, and the UIDs of what it has stored."""
    stored: list[str] = []

    def store(event: evt.Event) -> int:
        stored.append(str(event.dataset.SOPInstanceUID))
        return 0

    entity = AE("ARCHIVE")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield f"ARCHIVE@127.0.0.1:{server.server_address[1]}", stored
    server.shutdown()


def test_table_follows_a_line_that_is_moved(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.diametersPanel._ui
    before = ui.lesionsTable.item(0, 1).text()
    assert "Sum of products, enhancing tumor" in ui.lesionsLabel.text
    ui.linesBox.click()
    line = result.diameter_lines[0]
    assert f"{line.GetLineLengthWorld():.1f}" == before
    x, y, z = line.GetNthControlPointPositionWorld(0)
    line.SetNthControlPointPositionWorld(1, x + 5, y, z)
    assert ui.lesionsTable.item(0, 1).text() == "5.0"
    assert ui.lesionsTable.item(0, 0).text().endswith("*")
    ui.resetLinesButton.click()
    assert ui.lesionsTable.item(0, 1).text() == before
    assert len(result.diameter_lines) == 4
    ui.linesBox.click()
    assert result.diameter_lines == []


def test_report_is_saved_as_page_and_pdf(
    module: host.LoadedModule, result: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qt

    report = result.report | {"started": "2026-11-29", "timings_s": {}, "inputs": {}, "versions": {}}
    report |= {"model": {"name": "Tiny", "architecture": "tiny", "sha256": "0" * 64}, "peak_memory_bytes": 0}
    report |= {"device": "cpu", "precision": "fp32", "mode": "single_pass"}
    monkeypatch.setattr(type(result), "report", report)
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *question: str(tmp_path / "anna")))
    ui = module.widget.reportPanel._ui
    ui.reportPageButton.click()
    wait_until(lambda: not module.widget.reportPanel._reporting.running, 400)
    assert "Saved" in ui.archiveLabel.text
    assert "Anna_T1ce" in (tmp_path / "anna.html").read_text(encoding="utf-8")
    assert (tmp_path / "anna.pdf").read_bytes().startswith(b"%PDF")


def test_two_clicks_bring_a_study_from_the_database_to_seg_and_sr(
    module: host.LoadedModule, result: Any, database: DicomDatabase, archive: tuple[str, list[str]]
) -> None:
    panel, ui = module.widget.reportPanel, module.widget.reportPanel._ui
    saved: list[str] = []
    module.widget.onParametersChanged()
    assert not ui.sendButton.enabled
    ui.saveDicomButton.click()
    assert ui.saveDicomButton.text == "Cancel saving"
    wait_until(lambda: "50 %" in ui.archiveLabel.text)
    ui.saveDicomButton.click()
    assert ui.archiveLabel.text == "Stopped. Nothing was saved."
    assert not list(Path(tempfile.gettempdir()).glob("tokenunet-dicom-*"))
    for _again in range(2):
        ui.saveDicomButton.click()
        wait_until(lambda: not panel._saving.running, 400)
        assert "objects to the study" in ui.archiveLabel.text
        saved.append(result.segmentation.GetAttribute("TokenUNet.SavedDicom"))
    assert saved[0] == saved[1], "an unchanged result was saved twice"
    uids = result.segmentation.GetAttribute("TokenUNet.SavedDicom").split()
    files = [database.fileForInstance(uid) for uid in uids]
    by_modality = {pydicom.dcmread(file).Modality: file for file in files}
    assert set(by_modality) == {"SEG", "SR", "OT"}
    group = sr.srread(by_modality["SR"]).content.get_image_measurement_groups()[0]
    assert f"{group.get_measurements()[0].value:.1f}" == module.widget.diametersPanel._ui.lesionsTable.item(0, 1).text()
    place, stored = archive
    ui.archiveEdit.setText(place)
    ui.sendButton.click()
    wait_until(lambda: not panel._sending.running, 120)
    assert "has stored the objects" in ui.archiveLabel.text
    assert sorted(stored) == sorted(uids)


def test_scans_without_dicom_say_why_they_cannot_be_saved(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.reportPanel._ui
    assert not ui.saveDicomButton.enabled
    assert "not loaded from DICOM" in ui.saveDicomButton.toolTip
    assert not ui.sendButton.enabled


def test_an_unknown_archive_is_said_in_a_sentence(module: host.LoadedModule, result: Any) -> None:
    panel = module.widget.reportPanel
    panel._ui.archiveEdit.setText("nowhere")
    panel._when_asked(panel._send)()
    assert "names no archive" in panel._ui.archiveLabel.text
