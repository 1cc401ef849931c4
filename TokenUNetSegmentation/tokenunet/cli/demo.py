"""Command ``tokenunet demo``: segmentation of one patient as HTML page, Slicer scene and pictures."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.dice import dice_by_region
from tokenunet.core.errors import UsageError
from tokenunet.core.events import Event, OnEvent, Progress, ProgressEvent, ResultEvent, Stage, WarningEvent
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.inference.output import check_output
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import InferenceOptions, SegmentationRequest
from tokenunet.io.files import staging_folder
from tokenunet.io.result_files import LABELS_FILE
from tokenunet.io.segmentation_page import Picture, segmentation_report
from tokenunet.study.scans import find_sequences

REPORT = "report.html"
_PATIENT = "patient"
_SCENE_PROGRAM = "slicer_offscreen.demo_scene"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``demo`` command."""
    parser = commands.add_parser(
        "demo",
        help="segment a synthetic patient and display the result in a page",
        description="Segment a synthetic patient, or your own, and write an HTML page with pictures and a scene.",
    )
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="folder with four image files (default: a synthetic patient)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path("demo"), help="folder for the results (default: %(default)s)"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of a model bundle (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=5, help="seed of the synthetic patient (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier run")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Segment a patient and write the page, the scene and its pictures."""
    progress = Progress(on_event, {Stage.SYNTHESIZE: 0.15, Stage.PREDICT: 0.45, Stage.RENDER: 0.4})

    def pass_on(stage: Stage, event: Event) -> None:
        if isinstance(event, ProgressEvent):
            progress.update(stage, event.fraction)
        elif isinstance(event, WarningEvent):
            on_event(event)

    if options.seed < 0:
        raise UsageError(f"--seed must be at least 0, not {options.seed}.", "Correct the number.")
    check_output(options.output, options.force)
    folder = options.input or _make_patient(options.seed, options.output / _PATIENT)
    progress.update(Stage.SYNTHESIZE, 1)
    inputs = find_sequences(folder)
    request = SegmentationRequest(
        inputs=inputs,
        output=options.output,
        model=find_model(options.model),
        options=InferenceOptions(device=options.device, attention_maps=True),
        force=options.force,
    )
    report = segment(request, lambda event: pass_on(Stage.PREDICT, event))
    pictures, problem = _draw(inputs, report["reference"], options.output, lambda event: pass_on(Stage.RENDER, event))
    if problem:
        on_event(WarningEvent("no_pictures", problem))
    html = segmentation_report(
        report,
        pictures,
        patient=folder.name.replace("_", " "),
        dice=_dice(options.output / LABELS_FILE, folder),
        no_pictures_because=problem,
    )
    with staging_folder(options.output) as staging:
        (staging / REPORT).write_text(html, encoding="utf-8")
    on_event(ResultEvent(str(options.output), report))
    print(
        f"Open {options.output / REPORT} in a browser, and {options.output / 'scene.mrb'} in Slicer.", file=sys.stderr
    )


def _make_patient(seed: int, folder: Path) -> Path:
    from tokenunet.synthesis import patient_name, synthetic_patient, write_patient  # imports MONAI, which takes seconds

    patient = folder / patient_name(seed)
    return patient if patient.is_dir() else write_patient(synthetic_patient(seed), folder)


def _draw(
    inputs: dict[SequenceName, Path], reference: SequenceName, output: Path, on_event: OnEvent
) -> tuple[list[Picture], str]:
    """Render pictures of the result in a separate process.

    The process needs the optional slicer-core package, and VTK aborts it if OpenGL fails.

    Args:
        inputs: Input files by sequence.
        reference: Sequence whose grid the result has.
        output: Folder of the results.
        on_event: Callback that receives progress.

    Returns:
        Pictures, and an empty string or the reason why there are none.
    """
    files = [argument for sequence, path in inputs.items() for argument in (f"--{sequence.lower()}", str(path))]
    command = [sys.executable, "-m", _SCENE_PROGRAM, str(output), *files, "--reference", reference]
    last: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last = json.loads(line)
                if last["event"] == ProgressEvent.event:
                    on_event(ProgressEvent(last["stage"], last["fraction"], last["eta_s"]))
        except BaseException:
            process.kill()
            raise
        process.wait()
        log.seek(0)
        errors = log.read()
    if last.get("event") == "result":
        return [
            Picture(p["group"], p["title"], (output / p["file"]).read_bytes()) for p in last["report"]["pictures"]
        ], ""
    if last.get("event") == "error":
        return [], f"There are no pictures: {last['message']} {last['hint']}"
    if "No module named 'slicer'" in errors:
        return [], "There are no pictures and no scene: they need the slicer extra, pip install 'tokenunet[slicer]'."
    return [], f"There are no pictures: rendering ended with exit code {process.returncode}. {errors[-500:]}"


def _dice(labels: Path, patient: Path) -> dict[str, float] | None:
    """Return Dice by region against the ``*_seg`` image of the patient's folder, if there is one on the same grid."""
    for ground_truth in sorted(patient.glob("*_seg.nii*")):
        prediction, expected = sitk.ReadImage(labels), sitk.ReadImage(ground_truth)
        if Grid.of(prediction).same_as(Grid.of(expected)):
            return dice_by_region(sitk.GetArrayFromImage(prediction), sitk.GetArrayFromImage(expected))
    return None
