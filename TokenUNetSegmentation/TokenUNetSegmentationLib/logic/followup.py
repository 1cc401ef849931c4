"""Follow-up in a worker process: time points from a folder or from the scene, and loading of the result."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from slicer.i18n import tr as _
from tokenunet.core.events import ProgressEvent, WarningEvent
from tokenunet.followup.request import FollowUpRequest
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import file_name

from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command
from TokenUNetSegmentationLib.scene.followup import FollowUpNodes, load_steps
from TokenUNetSegmentationLib.scene.result_folder import write_result_steps
from TokenUNetSegmentationLib.scene.results import PatientResult, all_results


@dataclass(frozen=True)
class SceneTimePoint:
    """Result in the scene as a time point.

    Attributes:
        name: Name of its reference volume, made unique.
        result: Result.
    """

    name: str
    result: PatientResult


def scene_time_points() -> list[SceneTimePoint]:
    """Return the newest result of every reference volume in the scene, in the order of the scene."""
    newest = {result.reference: result for result in all_results() if result.reference is not None}
    points: dict[str, SceneTimePoint] = {}
    for volume, result in newest.items():
        plain = file_name(volume.GetName())
        names = chain((plain,), (f"{plain} {number}" for number in count(2)))
        name = next(name for name in names if name.lower() not in points)  # they become names of folders
        points[name.lower()] = SceneTimePoint(name, result)
    return list(points.values())


def request_with(settings: SegmentationRequest, patient: Path, order: Sequence[str], replaces: bool) -> FollowUpRequest:
    """Return the request to compare time points with the model, the device and the output of a segmentation.

    Args:
        settings: Request to segment, without inputs.
        patient: Folder of the patient.
        order: Names of the time points, the earliest first; empty to sort them by date.
        replaces: Whether to replace the results of an earlier comparison.
    """
    device = settings.options.device
    return FollowUpRequest(patient, settings.output, tuple(order), settings.model, device, force=replaces)


class FollowUpRun:
    """Follow-up and its state.

    Args:
        start_worker: Function that starts the worker process.

    Attributes:
        progress: Newest progress event of the worker.
        warnings: Warnings received so far.
        nodes: Nodes in the scene; None until the follow-up has been loaded.
    """

    def __init__(self, start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess) -> None:
        self._start_worker = start_worker
        self.progress = ProgressEvent("load", 0.0, None)
        self.warnings: list[str] = []
        self.nodes: FollowUpNodes | None = None

    def steps(self, request: FollowUpRequest, points: Sequence[SceneTimePoint] = ()) -> Iterator[None]:
        """Compare time points and load the result, in short steps; closing the iterator ends all work.

        Args:
            request: Patient, output, order, model and device.
            points: Results in the scene to compare instead of the patient's folder, the earliest first.

        Raises:
            WorkerError: If the follow-up fails.
            TokenUNetError: If a result cannot be exported or loaded.
        """
        exported = Path(tempfile.mkdtemp(prefix="tokenunet-follow-up-")) if points else None
        try:
            if exported is not None:
                request = replace(request, patient=exported, order=tuple(point.name for point in points))
                for point in points:  # with the user's corrections
                    yield from write_result_steps(point.result, exported / point.name, with_others=True)
            arguments = ["follow-up", *request.to_arguments()]
            for events in run_command(arguments, self._start_worker, _("The comparison ended unexpectedly.")):
                for event in events:
                    if isinstance(event, ProgressEvent):
                        self.progress = event
                    elif isinstance(event, WarningEvent):
                        self.warnings.append(event.message)
                yield
        finally:
            if exported is not None:
                shutil.rmtree(exported, ignore_errors=True)
        nodes: FollowUpNodes | None = None
        for loaded in load_steps(request.output, request.output.name):
            nodes = loaded
            yield
        self.nodes = nodes
