"""Measures how long the panel's window stands still: ``python Testing/host/measure_blocks.py [PATIENT] [--runs N]``.

Loads a patient (a folder with four scans; else a synthetic one of 240 x 240 x 155 voxels is made), segments it with the
shipped model in a real worker process, and then does what a user does: masks, opacity, all eight views, places to
review, surfaces. Prints the longest block of the event loop in each phase, the shortest of several runs, because other
programs on the computer stop a window too, and the line that ran then, in brackets where it is the host's. Ends with 1
where one that the module could split is longer than 100 ms.

Single calls of Slicer's that may take longer, and that a module can only wait for:
- "all eight": one view after the other is created, and ``qMRMLLayoutManager.setLayout`` arranges all of them.
- "save seg.nrrd": ``vtkMRMLSegmentationStorageNode.WriteData`` writes all layers of all voxels.

Measured on two shared cores, 240 x 240 x 155 voxels, best of three: at most 57 ms where the module has the choice;
60 ms (when the computer has nothing else to do) to 250 ms to save ``.seg.nrrd``.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(_ROOT / "Testing")
sys.path.insert(1, str(_ROOT / "TokenUNetSegmentation"))

import host  # noqa: E402

_LIMIT_MS = 100
_SINGLE_CALLS = {
    "all eight": "qMRMLLayoutManager.setLayout",
    "save seg.nrrd": "vtkMRMLSegmentationStorageNode.WriteData",
}
_PATIENCE_S = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("patient", type=Path, nargs="?", help="folder with the four scans of a patient")
    parser.add_argument("--runs", type=int, default=3, help="of which the shortest block counts (default 3)")
    options = parser.parse_args()
    app = host.start()
    from tokenunet.study.scans import find_sequences

    from host.heartbeat import Block

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.patient or _synthetic_patient(Path(temporary))
        app.temporaryPath = temporary
        shortest: dict[str, Block] = {}
        for _ in range(options.runs):
            for phase, block in _one_run(app, find_sequences(folder)).items():
                if phase not in shortest or block.seconds < shortest[phase].seconds:
                    shortest[phase] = block
    for phase, block in shortest.items():
        single = f", one call: {_SINGLE_CALLS[phase]}" if phase in _SINGLE_CALLS else ""
        print(f"{phase:24} {1000 * block.seconds:6.0f} ms  {block.where}{single}")
    own = (block for phase, block in shortest.items() if phase not in _SINGLE_CALLS)
    return int(any(1000 * block.seconds > _LIMIT_MS for block in own))


def _synthetic_patient(folder: Path) -> Path:
    from tokenunet.synthesis import synthetic_patient, write_patient

    return write_patient(synthetic_patient(1), folder / "patient")


def _one_run(app: Any, files: dict[Any, Path]) -> dict[str, Any]:
    import slicer
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    from host.heartbeat import Heartbeat

    slicer.mrmlScene.Clear(False)
    module = host.load_module(_ROOT / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
    module.panel.show()
    for sequence, path in files.items():
        load_volume(path, f"Patient_{sequence}")
    phase = "four volumes come"
    heartbeat = Heartbeat(lambda: _phase_of_run(module.widget.runPanel) or phase)
    for phase, action, until in _what_a_user_does(module):  # noqa: B007  the heartbeat reads it
        _live(app, 0.05)
        action()
        _live(app, 0.1, until)
    heartbeat.stop()
    module.close()
    app.processEvents()
    app.layout_manager.forget_views()
    return heartbeat.longest_by_phase


def _phase_of_run(run_panel: Any) -> str:
    if not run_panel.running:
        return ""
    stage = run_panel._run.progress.stage
    return {"export": "export", "show": "load and show result"}.get(stage, "run")


def _what_a_user_does(module: host.LoadedModule) -> Iterator[tuple[str, Callable[[], object], Callable[[], bool]]]:
    """Name of the phase, what starts it, and what is so at its end."""
    import qt

    widget, ui = module.widget, module.widget.ui

    def always() -> bool:
        return True

    yield "four volumes come", lambda: None, always
    yield (
        "overlays",
        ui.segmentButton.click,
        lambda: not widget.runPanel.running and ui.overlapTable.rowCount == 8,
    )
    if not ui.messageLabel.text.startswith("Done."):
        raise RuntimeError(ui.messageLabel.text)
    yield "toggle map 3", module.widget.overlaysPanel.button(3).click, always
    yield "map opacity", lambda: setattr(ui.overlayOpacitySlider, "value", 0.3), always
    yield "map threshold", lambda: setattr(ui.overlayThresholdSlider, "value", 40), always
    yield "TokenFuser", lambda: ui.overlayGroupBox.setCurrentIndex(1), lambda: ui.overlapTable.rowCount == 8
    yield "TokenFuser threshold", lambda: setattr(ui.overlayThresholdSlider, "value", 20), always
    yield "all eight", ui.gridButton.click, lambda: not widget.overlaysPanel.creating_views
    yield "map 5 of all eight", module.widget.overlaysPanel.button(5).click, always
    yield "back from all eight", ui.gridButton.click, always
    if ui.reviewTable.rowCount:
        yield "show a place", lambda: ui.reviewTable.selectRow(0), always
        yield "accept a place", ui.reviewAcceptButton.click, always
    yield "segment opacity", lambda: setattr(ui.opacitySlider, "value", 0.5), always
    yield "jump to tumor", ui.jumpButton.click, always
    yield "exclusive labels", ui.exclusiveBox.click, lambda: ui.exclusiveBox.enabled
    yield "regions again", ui.exclusiveBox.click, lambda: ui.exclusiveBox.enabled
    yield "surfaces in 3D", ui.show3DBox.click, lambda: not widget.resultPanel._surfaces.running
    yield "map in 3D", ui.volumeRenderingButton.click, always
    yield "back to the module", widget.enter, lambda: ui.overlapTable.rowCount == 8
    with tempfile.TemporaryDirectory() as folder:
        for button, ending in ((ui.exportSegButton, "seg.nrrd"), (ui.exportNiftiButton, "nii.gz")):
            path = f"{folder}/result.{ending}"
            qt.QFileDialog.getSaveFileName = staticmethod(lambda *_question, path=path: path)
            yield f"save {ending}", button.click, Path(path).exists


def _live(app: Any, seconds: float, until: Callable[[], bool] = lambda: True) -> None:
    """Lets the window live, for some time and until something is so."""
    start = time.monotonic()
    while time.monotonic() < start + seconds or not until():
        if time.monotonic() > start + _PATIENCE_S:
            raise TimeoutError("This took too long.")
        app.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    sys.exit(main())
