"""Many patients in the panel: found, segmented, resumed after a crash, and loaded into the scene."""

import csv
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import highdicom
import host
import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from dicom_fixtures import ACQUISITIONS, series_datasets, write_datasets
from host.heartbeat import Heartbeat
from module.driving import CommandHere, foreground, node_ids, wait_until
from pydicom.uid import generate_uid
from tokenunet.inference.batch.summary import Summary
from tokenunet.study.dicom import find_series, read_series

STANDIN = Path(__file__).with_name("standin_batch_worker.py")
LONGEST_BLOCK_S = 0.15


@pytest.fixture
def batch(
    module: host.LoadedModule, standin: pytest.MonkeyPatch, patient: Any, tmp_path: Path
) -> tuple[host.LoadedModule, pytest.MonkeyPatch]:
    """The section opened on a table of three patients, with a stand-in for the worker."""
    from tokenunet.io.files import sha256_of, write_text
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    report = json.loads((patient.output / "run.json").read_text())
    report |= {"labels": {"ET": 4}, "outputs": ["labels.nii.gz"]}
    report["inputs"] = {name: {"path": str(path), "sha256": sha256_of(path)} for name, path in patient.inputs.items()}
    result = tmp_path / "result"
    result.mkdir()
    for path in patient.output.iterdir():
        (result / path.name).symlink_to(path)
    (result / "run.json").unlink()
    write_text(result / "run.json", json.dumps(report))
    (tmp_path / "patients.csv").write_text("patient,input\nanna,a\nbroken,b\ncarl,c\n")
    standin.setenv("STANDIN_RESULT", str(result))
    panel, ui = module.widget.batchPanel, module.widget.batchPanel._ui
    panel.batch._start_worker = functools.partial(WorkerProcess, script=STANDIN)
    ui.batchSection.collapsed = False
    ui.batchPlace.setCurrentPath(str(tmp_path / "patients.csv"))
    return module, standin


def states(module: host.LoadedModule) -> list[str]:
    """Texts of the column of states."""
    table = module.widget.batchPanel._ui.batchTable
    return [table.item(row, 2).text() for row in range(table.rowCount)]


def press(module: host.LoadedModule, button: str) -> None:
    """Presses a button of the section and waits for the end of the work."""
    getattr(module.widget.batchPanel._ui, button).click()
    wait_until(lambda: not module.widget.batchPanel.working)


def test_batch_is_found_run_killed_resumed_and_loaded(
    batch: tuple[host.LoadedModule, pytest.MonkeyPatch], tmp_path: Path, app: Any
) -> None:
    module, standin = batch
    panel, ui = module.widget.batchPanel, module.widget.batchPanel._ui
    heartbeat = Heartbeat()
    assert ui.batchOutput.currentPath == str(tmp_path / "patients_results")
    press(module, "batchFindButton")
    assert states(module) == ["ready", "problem", "ready"]
    assert ui.batchTable.item(0, 1).text() == "T1 T1ce T2 FLAIR"
    assert not (tmp_path / "patients_results").exists()

    standin.setenv("STANDIN_KILLED", "carl")
    press(module, "batchStartButton")
    assert "ended unexpectedly" in ui.batchMessage.text
    assert states(module) == ["done", "⚠ problem", "waiting"]
    ui.batchTable.selectRow(1)
    assert "broken has no scan that is T2. Name it." in ui.batchDetails.text
    assert not ui.batchLoadButton.enabled

    standin.delenv("STANDIN_KILLED")
    assert ui.batchStartButton.text == "Resume"
    press(module, "batchStartButton")
    assert states(module) == ["done before", "⚠ problem", "done"]
    assert ui.batchMessage.text == "2 done, 1 with problems, 0 left."
    assert [ui.batchTable.item(2, column).text() for column in (3, 4, 5)] == [
        f"{panel.batch.rows['carl'].volumes_ml[name]:.1f}" for name in ("WT", "TC", "ET")
    ]
    assert ui.batchTable.item(2, 6).text() == "0.91"
    assert list(Path(app.temporaryPath).iterdir()) == []
    longest = heartbeat.longest

    ui.batchTable.selectRow(2)
    ui.batchTable.itemDoubleClicked.emit(ui.batchTable.item(2, 0))
    wait_until(lambda: not panel.loading)
    heartbeat.stop()
    assert ui.batchMessage.text == ""
    result = module.widget.result()
    assert result.segmentation.GetName() == "carl T1ce tumor"
    assert set(result.inputs) == {"T1", "T1ce", "T2", "FLAIR"}
    assert result.region("WT").any()
    nodes = node_ids()
    ui.batchLoadButton.click()
    wait_until(lambda: not panel.loading)
    assert node_ids() == nodes, "loaded twice"
    run = tmp_path / "patients_results" / "carl" / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"started": "later"}))
    ui.batchLoadButton.click()
    wait_until(lambda: not panel.loading)
    assert module.widget.result().report["started"] == "later", "segmented again, but not loaded"
    print(f"longest block {1000 * longest:.0f} ms, with loading {1000 * heartbeat.longest:.0f} ms")
    assert foreground("Red") is None


def test_loaded_result_is_corrected_and_saved_to_its_folder(
    batch: tuple[host.LoadedModule, pytest.MonkeyPatch], patient: Any, tmp_path: Path
) -> None:
    import slicer

    module, standin = batch
    panel, ui = module.widget.batchPanel, module.widget.ui
    module.widget.resultPanel.start_worker = CommandHere
    press(module, "batchStartButton")
    panel._ui.batchTable.selectRow(0)
    panel._ui.batchLoadButton.click()
    wait_until(lambda: not panel.loading)
    result, corrections = module.widget.result(), module.widget.resultPanel
    wait_until(lambda: corrections._corrections.knows(result) and not corrections._updating.running)
    assert not ui.saveCorrectionsButton.enabled
    enhancing = result.region("ET").astype(np.uint8)
    enhancing[0, :30, :30] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(enhancing, result.segmentation, "ET", result.reference)
    module.widget.enter()
    wait_until(lambda: not corrections._updating.running)
    folder = tmp_path / "patients_results" / "anna"
    volume = f"{result.report['volumes_ml']['ET']:.1f}"
    assert panel._ui.batchTable.item(0, 5).text() != volume
    summary = Summary(folder.parent, ["anna", "carl"])
    for name in ("anna", "carl"):
        summary.add({"patient": name, "status": "ok", "ET_ml": 1})
    summary.write()
    (folder / "segmentation.dcm").touch()
    ui.saveCorrectionsButton.click()
    assert not (folder / "segmentation.dcm").exists()
    assert not ui.saveCorrectionsButton.enabled, "it is still made"
    wait_until(lambda: not corrections._remaking.running)
    said = f"Saved {folder}. Removed, as they showed the uncorrected regions: segmentation.dcm."
    assert ui.resultLabel.text.startswith(said) and "not a DICOM series" in ui.resultLabel.text
    assert not (folder / "segmentation.dcm").exists()
    assert panel._ui.batchTable.item(0, 5).text() == volume
    with (folder.parent / "summary.csv").open() as file:
        anna, carl = csv.DictReader(file)
    assert (float(anna["ET_ml"]), anna["corrected"]) == (result.report["volumes_ml"]["ET"], "by hand")
    assert (carl["ET_ml"], carl["corrected"]) == ("1", "")
    assert (sitk.GetArrayFromImage(sitk.ReadImage(folder / "labels.nii.gz"))[0, :30, :30] == 4).all()
    saved = json.loads((folder / "run.json").read_text())
    assert saved["edits"] == result.report["edits"]
    assert saved["volumes_ml"] == result.report["volumes_ml"]
    slicer.mrmlScene.Clear(False)
    module.widget.enter()
    panel._ui.batchLoadButton.click()
    wait_until(lambda: not panel.loading)
    result = module.widget.result()
    assert result.region("WT")[0, :30, :30].all()
    write_segmented_series(folder, patient, result, tmp_path / "series", standin)
    (folder / "segmentation.dcm").touch()
    ui.saveCorrectionsButton.click()
    wait_until(lambda: not corrections._remaking.running)
    assert ui.resultLabel.text == f"Saved {folder}. Made again with the corrected regions: segmentation.dcm."
    assert not (folder / "measurements.dcm").exists(), "nobody asked for it"
    segments = highdicom.seg.segread(folder / "segmentation.dcm")
    assert segments.SegmentSequence[2].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert segments.get_volume(segment_numbers=[3]).array.sum() == result.region("ET").sum()


def write_segmented_series(folder: Path, patient: Any, result: Any, series: Path, patch: pytest.MonkeyPatch) -> None:
    """Write T1ce as a DICOM series, and name it in the run report as what was segmented."""
    attributes = ACQUISITIONS["T1ce"] | {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    datasets = series_datasets(sitk.ReadImage(patient.inputs["T1ce"]), generate_uid(), attributes)
    write_datasets(datasets, series, np.random.default_rng(0))
    (volume,) = find_series(series)
    scan = {"path": str(series), "series": {"folder": str(series), "uid": volume.uid}}
    scan["sha256"] = read_series(volume).sha256
    report = result.report
    patch.setattr(type(result), "report", report | {"inputs": report["inputs"] | {"T1ce": scan}, "reference": "T1ce"})


def test_closing_the_scene_does_not_end_a_batch(batch: tuple[host.LoadedModule, pytest.MonkeyPatch]) -> None:
    import slicer

    module, _standin = batch
    ui = module.widget.batchPanel._ui
    ui.batchStartButton.click()
    module.widget.parent.isEntered = False  # nothing connects the panel to the empty scene
    slicer.mrmlScene.Clear(False)
    assert module.widget.parameters() is None
    assert module.widget.batchPanel.working
    wait_until(lambda: not module.widget.batchPanel.working)
    assert states(module) == ["done", "⚠ problem", "done"]


def test_load_says_which_scan_is_gone(batch: tuple[host.LoadedModule, pytest.MonkeyPatch], tmp_path: Path) -> None:
    module, _standin = batch
    result = tmp_path / "result"
    report = json.loads((result / "run.json").read_text())
    report["inputs"]["T2"]["path"] = str(tmp_path / "gone.nii.gz")
    (result / "run.json").write_text(json.dumps(report))
    press(module, "batchStartButton")
    nodes = node_ids()
    ui = module.widget.batchPanel._ui
    ui.batchTable.selectRow(0)
    ui.batchLoadButton.click()
    wait_until(lambda: not module.widget.batchPanel.loading)
    assert "gone.nii.gz cannot be read as an image" in ui.batchMessage.text
    assert node_ids() == nodes


def test_news_of_many_rows_do_not_block_the_window(module: host.LoadedModule) -> None:
    """In CPU time, since the machine may be busy; columns that fit their contents once took a second for 50 rows."""
    from tokenunet.core.events import PatientEvent

    panel = module.widget.batchPanel
    panel._ui.batchSection.collapsed = False
    module.panel.show()
    patients = [f"patient {number}" for number in range(1000)]
    panel.batch.rows |= {name: PatientEvent(name, "waiting", "/results") for name in patients}
    panel.batch.changed |= set(patients)
    panel._show_news()
    for name in patients[:50]:
        panel.batch._receive(PatientEvent(name, "ok", "/results", volumes_ml={"WT": 1.0, "TC": 0.5, "ET": 0.2}))
    panel._show_news()  # the columns of the volumes appear
    panel.batch.changed |= set(patients[:50])
    began = time.process_time()
    panel._show_news()
    assert time.process_time() - began < LONGEST_BLOCK_S


def test_time_left_counts_only_segmented_patients() -> None:
    from tokenunet.core.events import PatientEvent, ProgressEvent
    from TokenUNetSegmentationLib.logic.batch import Batch

    batch = Batch()
    for event in (
        PatientEvent("a", "skipped", "a", volumes_ml={"WT": 1}, seconds=500),
        PatientEvent("b", "ok", "b", volumes_ml={"WT": 1}, seconds=10),
        PatientEvent("c", "running", "c"),
        PatientEvent("d", "waiting", "d"),
    ):
        batch._receive(event)
    batch._receive(ProgressEvent("predict", 0.625, 1000.0))
    assert batch.seconds_left == pytest.approx(15)


def test_worker_obeys_orders_with_its_children(tmp_path: Path) -> None:
    from TokenUNetSegmentationLib.process.watched_worker import _obey

    # A process that was started in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    order = tmp_path / "order.txt"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        try:
            process = psutil.Process(child.pid)
            assert _obey(order, "") == ""
            order.write_text("pause")
            assert _obey(order, "") == "pause"
            wait_until_status(process, psutil.STATUS_STOPPED)
            order.write_text("continue")
            assert _obey(order, "pause") == "continue"
            assert process.status() != psutil.STATUS_STOPPED
            order.write_text("stop")
            if os.name == "posix":
                with pytest.raises(KeyboardInterrupt):
                    _obey(order, "continue")
                    signal.sigtimedwait([], 5)
        finally:
            child.kill()
            signal.signal(signal.SIGINT, before)


def wait_until_status(process: psutil.Process, status: str) -> None:
    """Wait for a status of a process."""
    from waiting import wait_until as wait

    wait(lambda: process.status() == status)
