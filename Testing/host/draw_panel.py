"""Draws the modules' panels in every state: ``python Testing/host/draw_panel.py FOLDER``.

Writes ``empty.png``, ``ready.png``, ``running.png``, ``done.png`` and ``failed.png`` of the Segmentation module, and
``training_empty.png``, ``training_ready.png``, ``training_running.png`` and ``training_done.png`` of the Training
module, 380 pixels wide, and the same with ``_large`` at one and a half times the font size; ``window.png`` has what a
window of 1280 x 760 pixels shows of panel and views after "Segment", nothing scrolled; ``panel.png`` and
``training_panel.png`` have them side by side. ``three.png`` and ``two.png`` have so many sequences, ``imported.png``
has an imported model; ``compared.png``, ``compared_views.png`` and ``side_by_side.png`` have the results of both
shipped models. The patients are synthetic, the segmentation is the shipped model's; only the run's stages are a
stand-in's, which waits where a picture is made, and the figures of the training are invented.
"""

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(_ROOT / "Testing")
sys.path[1:1] = [str(_ROOT / "TokenUNetSegmentation"), str(_ROOT / "TokenUNetTraining")]

import host  # noqa: E402

_STATES = ("empty", "ready", "running", "done", "failed")
_TRAINING_STATES = ("training_empty", "training_ready", "training_running", "training_done")
_WIDTH = 380
_LARGE = 1.5
_WINDOW = (1280, 760)
_ABOVE, _BELOW = 80, 110
"""Pixels of a window above a module's panel (menus, tool bars, title) and below it (data probe, status bar)."""
_VIEWS = ("Red", "Yellow", "Green")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder.resolve()  # the working directory changes for the training
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        _draw_all(folder, Path(temporary))


def _draw_all(folder: Path, work: Path) -> None:
    app = host.start()
    app.temporaryPath = str(work)
    scans, output = _segmented_patient(work)
    os.environ |= {"STANDIN_RESULT": str(output), "STANDIN_PAUSE": "0.05"}
    import qt

    normal = qt.QApplication.font()
    for suffix, factor in (("", 1.0), ("_large", _LARGE)):
        font = qt.QFont(normal)
        font.setPointSizeF(normal.pointSizeF() * factor)
        qt.QApplication.setFont(font)
        draw = functools.partial(_draw_state, folder, suffix)
        _draw_states(app, scans, draw)
        _draw_training_states(app, work, draw)
    _draw_choices(app, scans, work, folder)
    _draw_side_by_side(folder, _STATES, "panel.png")
    _draw_side_by_side(folder, _TRAINING_STATES, "training_panel.png")


def _segmented_patient(work: Path) -> tuple[dict[str, Path], Path]:
    """Four scans and the output folder of their segmentation; voxels of 2 mm to be quick."""
    from tokenunet.study.scans import find_sequences
    from tokenunet.synthesis import synthetic_patient, write_patient

    patient = write_patient(synthetic_patient(5, spacing=2.0), work / "patients")
    return dict(find_sequences(patient)), _segment(patient, work / "output", "--attention-maps")


def _segment(patient: Path, output: Path, *options: str) -> Path:
    from tokenunet.cli import main as tokenunet

    if tokenunet(["segment", "--input", str(patient), "--output", str(output), *options]):
        raise RuntimeError("The patient for the pictures could not be segmented.")
    return output


def _draw_states(app: Any, scans: dict[str, Path], draw: Callable[[str, Any], None]) -> None:
    import slicer
    from TokenUNetSegmentationLib.logic.run import SegmentationRun
    from TokenUNetSegmentationLib.process.worker import WorkerProcess
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    slicer.mrmlScene.Clear(False)
    module = host.load_module(_ROOT / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
    panel, ui, run_panel = module.panel, module.widget.ui, module.widget.runPanel
    script = _ROOT / "Testing" / "module" / "standin_worker.py"
    start_worker = functools.partial(WorkerProcess, script=script)
    run_panel.start_run = functools.partial(SegmentationRun, start_worker=start_worker)
    for section in (ui.resultSection, ui.overlaysSection, ui.reviewSection):
        section.collapsed = True
    module.widget.onParametersChanged()
    draw("empty", panel)
    for sequence, path in scans.items():
        load_volume(path, f"Example_{sequence}")
    app.processEvents()
    draw("ready", panel)

    ui.segmentButton.click()
    _live(app, lambda: "Segmenting" in ui.progressBar.format)
    draw("running", panel)
    _live(app, lambda: not run_panel.running)
    ui.resultSection.collapsed = ui.overlaysSection.collapsed = ui.reviewSection.collapsed = False
    draw("window", panel)
    ui.inputsSection.collapsed = True
    module.widget.overlaysPanel.button(3).click()
    _live(app, lambda: ui.overlapTable.rowCount == 8)
    draw("done", panel)

    ui.inputsSection.collapsed = False
    ui.resultSection.collapsed = ui.overlaysSection.collapsed = ui.reviewSection.collapsed = True
    os.environ["STANDIN_ERROR"] = "grid_mismatch"
    ui.segmentButton.click()
    _live(app, lambda: not run_panel.running)
    del os.environ["STANDIN_ERROR"]
    ui.logButton.click()
    draw("failed", panel)
    module.close()


def _draw_choices(app: Any, scans: dict[str, Path], work: Path, folder: Path) -> None:
    """Draw fewer sequences, an imported model, and the results of two models."""
    import slicer
    from foreign_models import write_monai_bundle
    from TokenUNetSegmentationLib.logic.run import SegmentationRun
    from TokenUNetSegmentationLib.process.worker import WorkerProcess
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    slicer.mrmlScene.Clear(False)
    os.environ["TOKENUNET_MODELS"] = str(work / "models")
    module = host.load_module(_ROOT / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
    panel, ui, widget = module.panel, module.widget.ui, module.widget
    script = _ROOT / "Testing" / "module" / "standin_worker.py"
    widget.runPanel.start_run = functools.partial(
        SegmentationRun, start_worker=functools.partial(WorkerProcess, script=script)
    )
    for section in (ui.resultSection, ui.overlaysSection, ui.reviewSection):
        section.collapsed = True
    nodes = {sequence: load_volume(path, f"Example_{sequence}") for sequence, path in scans.items()}
    app.processEvents()
    selectors = {sequence: row.selector for sequence, row in widget.inputsPanel.rows.items()}
    for name, missing in (("three", ("FLAIR",)), ("two", ("T1", "T2"))):
        for sequence in missing:
            selectors[sequence].setCurrentNode(None)
        _draw(panel, folder / f"{name}.png")
        for sequence in missing:
            selectors[sequence].setCurrentNode(nodes[sequence])
    other = _segment(scans["T1ce"].parent, work / "other", "--model", "synthetic_only")
    for output in (other, work / "output"):
        os.environ["STANDIN_RESULT"] = str(output)
        ui.segmentButton.click()
        _live(app, lambda: not widget.runPanel.running)
    ui.comparisonSection.collapsed = False
    ui.compareButton.click()
    _live(app, lambda: ui.comparisonTable.rowCount == len(_VIEWS) and ui.compareButton.enabled)
    _draw(panel, folder / "compared.png")
    slicer.app.layout_manager.resetSliceViews()
    ui.jumpButton.click()
    _draw_views(_VIEWS, folder / "compared_views.png")
    ui.sideBySideButton.click()
    _draw_views(("TokenUNetOverlay1", "TokenUNetOverlay2"), folder / "side_by_side.png")
    ui.sideBySideButton.click()
    ui.comparisonSection.collapsed = True
    widget.modelImportPanel.start(write_monai_bundle(work / "foreign"))
    _live(app, lambda: not widget.modelImportPanel.running)
    _draw(panel, folder / "imported.png")
    module.close()


def _draw_views(names: Sequence[str], path: Path) -> None:
    """Draw slice views next to each other."""
    import numpy as np
    import qt
    import slicer

    views = [slicer.app.layout_manager.pixels(name) for name in names]
    pixels = np.ascontiguousarray(np.concatenate(views, axis=1))
    rows, columns, _colors = pixels.shape
    qt.QImage(pixels.data, columns, rows, 3 * columns, qt.QImage.Format_RGB888).save(str(path))
    print(path)


def _draw_training_states(app: Any, work: Path, draw: Callable[[str, Any], None]) -> None:
    import shutil

    import slicer
    from tokenunet.synthesis import synthetic_patient, write_patient
    from tokenunet.training.experiment.summary import write_summary
    from training_fixtures import fabricated_experiment

    slicer.mrmlScene.Clear(False)
    app.settings().remove("TokenUNetTraining/experiment")
    module = host.load_module(_ROOT / "TokenUNetTraining" / "TokenUNetTraining.py")
    panel, ui = module.panel, module.widget.ui
    ui.progressSection.collapsed = ui.resultsSection.collapsed = True
    draw("training_empty", panel)
    write_patient(synthetic_patient(2, spacing=2.0), work / "patients")
    os.chdir(work)  # for short paths in the pictures
    ui.dataPath.setCurrentPath("patients")
    ui.experimentPath.setCurrentPath("glioma-2026")
    module.widget.trainingPanel.boxes["unet"].setChecked(True)
    ui.checkButton.click()
    _live(app, lambda: not module.widget.dataPanel.running)
    draw("training_ready", panel)
    ui.progressSection.collapsed = ui.resultsSection.collapsed = False
    for state, finished in (("training_running", 3), ("training_done", None)):
        experiment = fabricated_experiment(Path("glioma-2026"), ("token_unet_transformer", "unet"), 3, finished)
        write_summary(experiment)
        experiment.report.touch()
        if finished is None:
            module.widget.watch.look_at(None)
            ui.experimentPath.setCurrentPath("")
            ui.experimentPath.setCurrentPath(str(experiment.folder))
            draw(state, panel)
        else:
            with experiment.training_process():
                module.widget.onTimer()
                draw(state, panel)
        shutil.rmtree(experiment.folder)
    module.close()


def _live(app: Any, until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.005)


def _draw_state(folder: Path, suffix: str, name: str, panel: Any) -> None:
    path = folder / f"{name}{suffix}.png"
    _draw(panel, path)
    if name == "window":
        _put_into_window(path)


def _put_into_window(path: Path) -> None:
    """Replace a panel's picture by that of a window in which nothing was scrolled, with the slice views."""
    import qt
    import slicer

    slicer.app.layout_manager.resetSliceViews()
    slicer.modules.TokenUNetSegmentationWidget.ui.jumpButton.click()
    panel, height = qt.QPixmap(str(path)), _WINDOW[1] - _ABOVE - _BELOW
    window = qt.QPixmap(*_WINDOW)
    window.fill(qt.QColor("darkgray"))
    painter = qt.QPainter(window)
    painter.drawPixmap(0, _ABOVE, panel.copy(0, 0, _WIDTH, height))
    side = (_WINDOW[0] - _WIDTH) // len(_VIEWS)
    for number, name in enumerate(_VIEWS):
        pixels = slicer.app.layout_manager.pixels(name).copy()
        rows, columns, _colors = pixels.shape
        view = qt.QImage(pixels.data, columns, rows, 3 * columns, qt.QImage.Format_RGB888)
        painter.drawImage(qt.QRect(_WIDTH + number * side, _ABOVE, side, side), view)
    painter.end()
    window.save(str(path))


def _draw(panel: Any, path: Path) -> None:
    """The panel as high as it needs to be, as the application's scrolled panel shows it."""
    import slicer

    panel.resize(_WIDTH, 10)
    panel.show()
    for _ in range(3):
        slicer.app.processEvents()
        panel.resize(_WIDTH, panel.layout().heightForWidth(_WIDTH))
    if panel.width != _WIDTH:
        print(f"{path.name}: {panel.width} pixels wide, {_WIDTH} asked for", file=sys.stderr)
    panel.grab().save(str(path))
    print(path)


def _draw_side_by_side(folder: Path, states: tuple[str, ...], name: str) -> None:
    import qt

    pictures = [qt.QPixmap(str(folder / f"{state}.png")) for state in states]
    whole = qt.QPixmap(sum(picture.width() for picture in pictures), max(picture.height() for picture in pictures))
    whole.fill(qt.QColor("white"))
    painter = qt.QPainter(whole)
    left = 0
    for picture in pictures:
        painter.drawPixmap(left, 0, picture)
        left += picture.width()
    painter.end()
    whole.save(str(folder / name))
    print(folder / name)


if __name__ == "__main__":
    main()
