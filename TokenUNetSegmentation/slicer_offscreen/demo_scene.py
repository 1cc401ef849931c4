"""Scene and pictures of one segmented patient.

``python -m slicer_offscreen.demo_scene OUTPUT --t1 T1 --t1ce T1CE --t2 T2 --flair FLAIR`` writes ``scene.mrb`` and
``pictures/*.png`` into the output folder of ``tokenunet segment``. Standard output has one JSON event per line, as in
`tokenunet.core.events`; the result's report lists the pictures, each with ``group``, ``title`` and ``file``. It is a
separate program, since VTK aborts its process if OpenGL fails.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import slicer
from tokenunet.core.errors import OutputError, TokenUNetError
from tokenunet.core.events import ErrorEvent, ProgressEvent, ResultEvent
from tokenunet.core.regions import REGION_TITLES
from tokenunet.core.sequences import SEQUENCES, SequenceName
from TokenUNetSegmentationLib.scene.displays import head_box, show_overlay, show_result, show_surfaces
from TokenUNetSegmentationLib.scene.load_result import build_result
from TokenUNetSegmentationLib.scene.overlays import range_text
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import load_volume

from slicer_offscreen import OffscreenHost, SliceView, ThreeDView, require_rendering

STAGE = "scene"
_ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
_SLICE_SIZE = (600, 600)
_OVERLAY_SIZE = (400, 400)
_SURFACE_SIZE = (700, 600)


@dataclass(frozen=True)
class RenderedView:
    """Rendered picture.

    Attributes:
        group: `slices`, `surface` or the name of a group of overlays.
        title: Caption.
        file: Path relative to the output folder.
    """

    group: str
    title: str
    file: str


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: Command-line arguments; None uses ``sys.argv``.

    Returns:
        Exit code.
    """
    options = _parse(arguments)
    inputs = {sequence: getattr(options, sequence.lower()) for sequence in SEQUENCES}
    try:
        report = _make_scene(inputs, options.reference, options.output)
    except TokenUNetError as error:
        print(ErrorEvent(error.code, str(error), error.hint).to_json(), flush=True)
        return error.exit_code
    print(ResultEvent(str(options.output), report).to_json(), flush=True)
    return 0


def _make_scene(inputs: dict[SequenceName, Path], reference: SequenceName, output: Path) -> dict[str, Any]:
    require_rendering()
    with OffscreenHost() as host:
        nodes = {sequence: load_volume(path, sequence) for sequence, path in inputs.items()}
        _say_progress(0.1)
        result = build_result(nodes, reference, output)
        _say_progress(0.2)
        pictures = []
        for picture in _draw(host, result, output):
            pictures.append(picture)
            _say_progress(0.2 + 0.7 * len(pictures) / _number_of_pictures(result))
        host.save(output / "scene.mrb")
    return {"scene": "scene.mrb", "pictures": [asdict(picture) for picture in pictures]}


def _say_progress(fraction: float) -> None:
    print(ProgressEvent(STAGE, round(fraction, 3), None).to_json(), flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slicer_offscreen.demo_scene", description=__doc__)
    parser.add_argument("output", type=Path, help="output folder of tokenunet segment")
    for sequence in SEQUENCES:
        parser.add_argument(f"--{sequence.lower()}", type=Path, required=True, metavar="FILE")
    parser.add_argument("--reference", choices=SEQUENCES, default="T1ce", help="default: %(default)s")
    return parser.parse_args(arguments)


def _number_of_pictures(result: PatientResult) -> int:
    return len(_ORIENTATIONS) + sum(len(result.overlays(group)) for group in result.overlay_groups) + 1


def _draw(host: OffscreenHost, result: PatientResult, output: Path) -> Iterator[RenderedView]:
    """Render one picture after the other, and leave the scene as it should open."""
    folder = output / "pictures"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be created: {error.strerror}.", "Choose another output folder.") from error

    def draw(view: SliceView | ThreeDView, group: str, title: str, name: str) -> RenderedView:
        view.grab(folder / f"{name}.png")
        return RenderedView(group, title, f"{folder.name}/{name}.png")

    box = head_box(result.reference)
    for name, orientation in _ORIENTATIONS.items():
        with closing(SliceView(host, name, orientation, _SLICE_SIZE)) as view:
            show_result(result)
            view.frame(box)
            yield draw(view, "slices", orientation, f"slice_{orientation.lower()}")

    with closing(SliceView(host, "Red", "Axial", _OVERLAY_SIZE)) as view:
        view.frame(box)
        result.segmentation.GetDisplayNode().SetOpacity2DFill(0)
        for group in result.overlay_groups:
            for number, overlay in result.overlays(group).items():
                show_overlay(overlay)
                yield draw(view, group, f"{overlay.GetName()}: {range_text(overlay)}", f"{group}_{number}")
    show_overlay(None)
    show_result(result)

    show_surfaces(result)
    with closing(ThreeDView(host, size=_SURFACE_SIZE)) as surfaces:
        surfaces.look_from(slicer.vtkMRMLCameraNode.Anterior)
        yield draw(surfaces, "surface", ", ".join(REGION_TITLES.values()), "surface")


if __name__ == "__main__":
    sys.exit(main())
