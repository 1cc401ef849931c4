"""Measures a batch from the window: ``python Testing/host/measure_batch.py [--patients 50]``.

The patients are synthetic and coarse, the model is tiny, so that 50 take about a minute; process, window and files
are real. The worker is killed after two fifths of the patients, and the batch resumed. Printed are the memory of the
process that segments, the time to the first patient and per patient, and how long the window stood still.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(_ROOT / "Testing")
sys.path[1:1] = [str(_ROOT / "TokenUNetSegmentation")]

import psutil  # noqa: E402

import host  # noqa: E402

_PATIENCE_S = 3600
_MB = 2**20
_SMALLEST_MB = 100
"""A process that segments is larger; the helper of multiprocessing, which outlives it, is smaller."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=50)
    count = parser.parse_args().patients
    app = host.start()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        app.temporaryPath = str(folder)
        model, table = _write_batch(folder, count)
        module = host.load_module(_ROOT / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
        boxes = module.widget.ui.modelBox
        boxes.addItem("tiny", str(model))
        boxes.setCurrentIndex(boxes.count - 1)
        _measure(app, module, table, count)
        module.close()


def _write_batch(folder: Path, count: int) -> tuple[Path, Path]:
    """Write a tiny model, and a table in which three patients appear again and again."""
    from model_fixtures import SMALL_MANIFEST, small_bundle
    from tokenunet.synthesis import synthetic_patient, write_patient

    model = small_bundle(folder / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))
    three = [write_patient(synthetic_patient(seed, spacing=4.0), folder / "scans") for seed in (1, 2, 3)]
    table = folder / "patients.csv"
    lines = [f"patient_{number:02d},{three[number % 3]}" for number in range(1, count + 1)]
    table.write_text("\n".join(["patient,input", *lines]))
    return model, table


def _measure(app: Any, module: host.LoadedModule, table: Path, count: int) -> None:
    from host.heartbeat import Heartbeat

    panel, ui = module.widget.batchPanel, module.widget.batchPanel._ui
    ui.batchSection.collapsed = False
    module.panel.show()
    ui.batchPlace.setCurrentPath(str(table))
    heartbeat = Heartbeat()
    done_at: list[tuple[float, float]] = []

    def finished(until: int) -> bool:
        """Note time and memory whenever a patient is done."""
        done = panel.batch.count("ok", "skipped")
        if done > len(done_at):
            done_at.extend([(time.monotonic(), _memory(panel.batch))] * (done - len(done_at)))
            print(f"patient {done}: {done_at[-1][1]:.0f} MB", flush=True)
        return done >= until or not panel.working

    def run(until: int) -> None:
        began = time.monotonic()
        known = len(done_at)
        ui.batchStartButton.click()
        _live(app, lambda: finished(until))
        times = [moment for moment, _megabytes in done_at[known:]]
        pace = (times[-1] - times[0]) / max(len(times) - 1, 1)
        print(f"{len(times)} patients: first done after {times[0] - began:.1f} s, then {pace:.2f} s each")

    run(2 * count // 5)
    os.kill(_process(panel.batch).pid, signal.SIGKILL)
    _live(app, lambda: not panel.working)
    print(f"killed: {ui.batchMessage.text}")
    finished(count)
    before = len(done_at)
    run(count)
    _live(app, lambda: not panel.working)
    heartbeat.stop()
    print(f"end: {ui.batchMessage.text}, {panel.batch.count('skipped')} of them recognized as done before")
    for name, part in (("before the kill", done_at[:before]), ("after it", done_at[before:])):
        memory = [megabytes for _moment, megabytes in part if megabytes > _SMALLEST_MB]
        third = memory[2]
        low, high = min(memory[2:]) / third - 1, max(memory[2:]) / third - 1
        print(f"memory {name}: {third:.0f} MB after the third patient, later {low:+.1%} to {high:+.1%}")
    block = heartbeat.longest_by_phase[""]
    print(f"longest block of the window {1000 * block.seconds:.0f} ms {block.where}")


def _process(batch: Any) -> psutil.Process:
    return psutil.Process(batch._worker.process_id)


def _memory(batch: Any) -> float:
    """Resident memory in MB of the process that segments: the largest child of the worker; 0 if it has ended."""
    if batch._worker is None:
        return 0.0
    try:
        return max((child.memory_info().rss for child in _process(batch).children(recursive=True)), default=0) / _MB
    except psutil.NoSuchProcess:
        return 0.0


def _live(app: Any, until: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("This took too long.")
        app.processEvents()
        time.sleep(0.002)


if __name__ == "__main__":
    main()
