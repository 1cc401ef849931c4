"""Segmentation run: export volumes, run the worker process, load its result into the scene.

A run is a sequence of short steps that keep the window responsive; whoever takes the steps (a timer in the panel, a
loop in a script) can stop after any of them. The scene then holds either a complete result or what it held before, and
no files or processes are left.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import Cancelled, InputError, OutputError, TokenUNetError
from tokenunet.core.events import ErrorEvent, ProgressEvent, ResultEvent, WarningEvent
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName
from tokenunet.inference.request import InferenceOptions, SegmentationRequest

from TokenUNetSegmentationLib.logic.stages import stage_title
from TokenUNetSegmentationLib.process.worker import WorkerProcess
from TokenUNetSegmentationLib.scene.load_result import build_steps
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import export_volume, grid_of

_WORK_FOLDER_PREFIX = "tokenunet-run-"
_SHARE_OF_EXPORT, _SHARE_OF_LOADING = 0.05, 0.05
_FULL_DISK_BYTES = 2**20


@dataclass(frozen=True)
class RunRequest:
    """What to segment and how.

    Attributes:
        inputs: Volume of each channel that is there.
        reference: Sequence on whose grid the result is.
        model: Name or path of a model bundle.
        options: How to run the network.
        left_out: Channels of the model that are missing.
    """

    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode]
    reference: SequenceName
    model: str
    options: InferenceOptions = field(default_factory=lambda: InferenceOptions(attention_maps=True))
    left_out: tuple[SequenceName, ...] = ()

    def on_files(self, folder: Path) -> SegmentationRequest:
        """Return the request that makes the same result from files named after the channels in a folder."""
        return SegmentationRequest(
            inputs={sequence: folder / f"{sequence}.nrrd" for sequence in self.inputs},
            output=folder / "output",
            model=self.model,
            reference=self.reference,
            options=self.options,
            left_out=self.left_out,
        )


class WorkerCrashError(TokenUNetError):
    """The worker process ended without reporting an error."""

    code = "crashed"


class SegmentationRun:
    """Segmentation run and its state.

    Args:
        request: What to segment and how.
        temporary_folder: Folder in which the run creates its work folder.
        start_worker: Function that starts the worker process.

    Attributes:
        progress: Newest progress event; its fraction is that of the whole run.
        warnings: Warnings received so far.
        result: Result in the scene; None until the run has succeeded.
        log: End of the worker's log.
        expected_seconds: Duration of the whole run as estimated before its start; None if unknown.
    """

    def __init__(
        self,
        request: RunRequest,
        temporary_folder: Path,
        start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess,
    ) -> None:
        self.request = request
        self.progress = ProgressEvent("export", 0.0, None)
        self.warnings: list[str] = []
        self.result: PatientResult | None = None
        self.log = ""
        self._temporary_folder = temporary_folder
        self._start_worker = start_worker
        self.expected_seconds: float | None = None
        self._cancelled = False
        self._exported: dict[SequenceName, tuple[Grid, int]] = {}

    def cancel(self) -> None:
        """Request cancellation at the next step."""
        self._cancelled = True

    def steps(self) -> Iterator[None]:
        """Segment in short steps.

        Raises:
            Cancelled: If `cancel` was called.
            TokenUNetError: If the run fails.
        """
        self._began = time.monotonic()
        remove_abandoned_work_folders(self._temporary_folder)
        folder = _make_work_folder(self._temporary_folder)
        try:
            yield
            yield from self._export(folder)
            yield from self._segment(folder)
            for scan in folder.glob("*.nrrd"):  # deleting large files is slow: one per step
                scan.unlink()
                yield
            yield from self._load(folder / "output")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _export(self, folder: Path) -> Iterator[None]:
        for done, (sequence, node) in enumerate(self.request.inputs.items(), start=1):
            self._check_cancelled()
            export_volume(node, folder / f"{sequence}.nrrd")
            self._exported[sequence] = grid_of(node), node.GetImageData().GetMTime()
            self.progress = ProgressEvent("export", _SHARE_OF_EXPORT * done / len(self.request.inputs), None)
            yield

    def _segment(self, folder: Path) -> Iterator[None]:
        arguments = self.request.on_files(folder).to_arguments()
        worker = self._start_worker(["segment", *arguments, "--progress", "json"], folder)
        failure: ErrorEvent | None = None
        succeeded = False
        try:
            for events in worker.events_until_end():
                self._check_cancelled()
                for event in events:
                    if isinstance(event, ProgressEvent):
                        self.progress = self._of_whole_run(event)
                    elif isinstance(event, WarningEvent):
                        self.warnings.append(self._with_names_of_nodes(event.message, folder))
                    elif isinstance(event, ErrorEvent):
                        failure = event
                    elif isinstance(event, ResultEvent):
                        succeeded = True
                self.log = worker.log()
                yield
        finally:
            worker.close()
        if failure is not None:
            error = TokenUNetError(*(self._with_names_of_nodes(t, folder) for t in (failure.message, failure.hint)))
            error.code = failure.code
            raise error
        if not succeeded:
            raise WorkerCrashError(*crash_sentence(worker.exit_code, self.log, self.progress.stage, folder))

    def _with_names_of_nodes(self, text: str, folder: Path) -> str:
        """Replace the paths of exported scans, which the user does not know, by the names of their volumes."""
        for sequence, node in self.request.inputs.items():
            text = text.replace(str(folder / f"{sequence}.nrrd"), f"“{node.GetName()}”")
        return text

    def _of_whole_run(self, event: ProgressEvent) -> ProgressEvent:
        fraction = _SHARE_OF_EXPORT + (1 - _SHARE_OF_EXPORT - _SHARE_OF_LOADING) * event.fraction
        left = seconds_left(time.monotonic() - self._began, fraction, self.expected_seconds)
        return ProgressEvent(event.stage, fraction, left)

    def _load(self, output: Path) -> Iterator[None]:
        self.progress = ProgressEvent("show", 1 - _SHARE_OF_LOADING, None)
        yield
        self._check_cancelled()
        self._check_inputs()
        unfinished: PatientResult | None = None
        for result_so_far in build_steps(self.request.inputs, self.request.reference, output):
            unfinished = result_so_far
            yield
            self._check_cancelled()
        self.result = unfinished
        self.progress = ProgressEvent("show", 1.0, 0.0)

    def _check_inputs(self) -> None:
        """Check that the volumes are still those that were exported; warn if only their voxels were changed."""
        for sequence, node in self.request.inputs.items():
            if not slicer.mrmlScene.IsNodePresent(node) or node.GetImageData() is None:
                raise InputError(
                    _("The {name} volume was removed from the scene during the run.").format(name=sequence),
                    _("Load it and segment again."),
                )
            grid, modified = self._exported[sequence]
            if not grid.same_as(grid_of(node)):
                raise InputError(
                    _("The {name} volume was moved or resampled during the run.").format(name=sequence),
                    _("Segment again."),
                )
            if modified != node.GetImageData().GetMTime():
                text = _("The {name} volume was changed during the run; the result is that of its former voxels.")
                self.warnings.append(text.format(name=sequence))

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled


def _make_work_folder(temporary_folder: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_WORK_FOLDER_PREFIX}{os.getpid()}-", dir=temporary_folder))
    except OSError as error:
        raise OutputError(
            _("{folder} cannot be written: {reason}.").format(folder=temporary_folder, reason=error.strerror),
            _("Make room there, or choose another temporary folder in Edit / Application Settings / General."),
        ) from error


def crash_sentence(exit_code: int | None, log: str, stage: str, folder: Path) -> tuple[str, str]:
    """Return message and hint for a worker that ended without reporting an error.

    Args:
        exit_code: Exit code of the process; negative after a signal.
        log: End of its log.
        stage: Stage of its last progress event.
        folder: Its work folder.
    """
    if shutil.disk_usage(folder).free < _FULL_DISK_BYTES:
        return (
            _("The disk with {folder} is full.").format(folder=folder.parent),
            _("Make room there and segment again."),
        )
    by_launcher = exit_code == 1 and "Traceback" not in log  # PythonSlicer returns 1 if its child was killed
    if exit_code in (-9, 137) or by_launcher:
        return (
            _(
                "The segmentation process was killed by the system (stage “{stage}”), most often for lack of memory."
            ).format(stage=stage_title(stage)),
            _("Close other programs, or choose “window by window”."),
        )
    return (
        _("The segmentation process ended unexpectedly (stage “{stage}”, exit code {exit_code}).").format(
            stage=stage_title(stage), exit_code=exit_code
        ),
        _("The log may show why; “Copy diagnostics” copies it for a report."),
    )


def seconds_left(elapsed: float, fraction: float, expected: float | None) -> float | None:
    """Estimate the time to the end of the whole run.

    Stages differ in speed, so early progress predicts little: the expected duration is weighted by the remaining part
    of the run, the extrapolation of the progress so far by the completed part.

    Args:
        elapsed: Seconds since the run began.
        fraction: Completed part of the run, from 0 to 1.
        expected: Seconds that the whole run was expected to take; None if unknown.

    Returns:
        Seconds left, or None while nothing is known.
    """
    if fraction <= 0:
        return expected
    by_speed = elapsed * (1 - fraction) / fraction
    return by_speed if expected is None else fraction * by_speed + (1 - fraction) * expected * (1 - fraction)


def remove_abandoned_work_folders(temporary_folder: Path) -> None:
    """Remove the work folders of processes that no longer exist, such as a Slicer that was killed."""
    import psutil  # not at the top: installed at the first click, after this module is imported

    for folder in temporary_folder.glob(f"{_WORK_FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(_WORK_FOLDER_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
