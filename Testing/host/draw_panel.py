"""Draws the Segmentation panel in every state: ``python Testing/host/draw_panel.py FOLDER``.

Writes ``empty.png``, ``ready.png``, ``running.png``, ``done.png`` and ``failed.png``, 380 pixels wide, and the same
with ``_large`` at one and a half times the font size; ``panel.png`` has the five side by side. The run in them is a
stand-in's; the panel and the scene are real.
"""

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(_ROOT / "Testing")
sys.path.insert(1, str(_ROOT / "TokenUNetSegmentation"))

import host  # noqa: E402

_STATES = ("empty", "ready", "running", "done", "failed")
_WIDTH = 380
_LARGE = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    app = host.start()
    import qt

    normal = qt.QApplication.font()
    for suffix, factor in (("", 1.0), ("_large", _LARGE)):
        font = qt.QFont(normal)
        font.setPointSizeF(normal.pointSizeF() * factor)
        qt.QApplication.setFont(font)
        _draw_states(app, lambda name, panel, suffix=suffix: _draw(panel, folder / f"{name}{suffix}.png"))
    _draw_side_by_side(folder)


def _draw_states(app: Any, draw: Callable[[str, Any], None]) -> None:
    import slicer
    from scene.synthetic_output import write_patient
    from TokenUNetSegmentationLib.segmentation_run import SegmentationRun
    from TokenUNetSegmentationLib.volumes import load_volume
    from TokenUNetSegmentationLib.worker import WorkerProcess

    slicer.mrmlScene.Clear(False)
    module = host.load_module(_ROOT / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
    panel, ui, run_panel = module.panel, module.widget.ui, module.widget.runPanel
    script = _ROOT / "Testing" / "module" / "standin_worker.py"
    start_worker = functools.partial(WorkerProcess, script=script)
    run_panel.start_run = functools.partial(SegmentationRun, start_worker=start_worker)
    if not run_panel._models:
        run_panel._models = {"token_unet_transformer": "Token-UNet transformer"}
        ui.modelBox.addItem("Token-UNet transformer", "token_unet_transformer")
    for section in (ui.resultSection, ui.masksSection, ui.reviewSection):
        section.collapsed = True
    module.widget.onParametersChanged()
    draw("empty", panel)
    with tempfile.TemporaryDirectory() as temporary:
        patient = write_patient(Path(temporary) / "patient")
        app.temporaryPath = temporary
        for sequence, path in patient.inputs.items():
            load_volume(path, f"Example_{sequence}")
        app.processEvents()
        draw("ready", panel)

        os.environ |= {"STANDIN_RESULT": str(patient.output), "STANDIN_PAUSE": "0.05"}
        ui.segmentButton.click()
        _live(app, lambda: "Segmenting" in ui.progressBar.format)
        draw("running", panel)
        _live(app, lambda: not run_panel.running)
        ui.inputsSection.collapsed = True
        ui.resultSection.collapsed = ui.masksSection.collapsed = ui.reviewSection.collapsed = False
        ui.mask3.click()
        _live(app, lambda: ui.overlapTable.rowCount == 8)
        draw("done", panel)

        ui.inputsSection.collapsed = False
        ui.resultSection.collapsed = ui.masksSection.collapsed = ui.reviewSection.collapsed = True
        os.environ["STANDIN_ERROR"] = "grid_mismatch"
        ui.segmentButton.click()
        _live(app, lambda: not run_panel.running)
        del os.environ["STANDIN_ERROR"]
        ui.logButton.click()
        draw("failed", panel)
        module.close()


def _live(app: Any, until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.005)


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


def _draw_side_by_side(folder: Path) -> None:
    import qt

    pictures = [qt.QPixmap(str(folder / f"{state}.png")) for state in _STATES]
    whole = qt.QPixmap(sum(picture.width() for picture in pictures), max(picture.height() for picture in pictures))
    whole.fill(qt.QColor("white"))
    painter = qt.QPainter(whole)
    left = 0
    for picture in pictures:
        painter.drawPixmap(left, 0, picture)
        left += picture.width()
    painter.end()
    whole.save(str(folder / "panel.png"))
    print(folder / "panel.png")


if __name__ == "__main__":
    main()
