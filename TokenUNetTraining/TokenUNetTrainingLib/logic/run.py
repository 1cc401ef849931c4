"""Training requests, the training process, and the watched state of an experiment; without Qt."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError, UsageError
from tokenunet.core.events import ErrorEvent, ProgressEvent, WarningEvent
from tokenunet.training.config.configuration import check_setting
from tokenunet.training.request import TrainingRequest
from TokenUNetSegmentationLib.logic.inputs import Availability
from TokenUNetSegmentationLib.process.worker import WorkerProcess

if TYPE_CHECKING:  # not at run time: its packages are installed at the first click
    from tokenunet.training.experiment.progress import ExperimentProgress

_SCRIPT = Path(__file__).parents[1] / "process" / "detached_training.py"
_WORK_FOLDER_PREFIX = "tokenunet-training-"


class ExperimentWatch:
    """State of the experiment in a folder.

    Attributes:
        folder: Watched folder; None if none was chosen.
        progress: Progress of the experiment in it; None if there is none.
        problem: Why the folder cannot be read; empty if it can.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.progress: ExperimentProgress | None = None
        self.problem = ""

    def look_at(self, folder: Path | None) -> None:
        """Watch another folder from now on."""
        if folder != self.folder:
            self.folder, self.progress, self.problem = folder, None, ""

    def update(self) -> bool:
        """Read what is new, and return whether anything was."""
        if self.folder is None or not (self.folder / "experiment.json").exists():
            return False
        if self.progress is None:
            try:
                from tokenunet.training.experiment.experiment import Experiment
                from tokenunet.training.experiment.progress import ExperimentProgress

                self.progress = ExperimentProgress(Experiment(self.folder))
            except ModuleNotFoundError:
                self.problem = _("Install what is missing, to read the experiment.")
                return False
            except TokenUNetError as error:
                news = not self.problem
                self.problem = f"{error} {error.hint}"
                return news
            self.problem = ""
            self.progress.update()
            return True
        return self.progress.update()

    @property
    def data(self) -> Path | None:
        """Folder in which the experiment knows its patients; None without experiment or data."""
        if self.progress is None or self.progress.experiment.synthetic:
            return None
        return Path(self.progress.experiment.description["dataset"]["folder"])

    @property
    def behind(self) -> bool:
        """Whether the last `update` left something unread."""
        return self.progress is not None and self.progress.behind

    @property
    def running(self) -> bool:
        """Whether a process is training there."""
        return self.progress is not None and self.progress.running


class TrainingRun:
    """Training process started by this window, whose events are received before the experiment's folder exists.

    Args:
        request: What to train.
        start_process: Starts the process.

    Attributes:
        progress: Newest progress event; None before the first.
        failure: Why it failed; None if it did not.
        warnings: Sentences of its warnings.

    Raises:
        OSError: If the process cannot be started.
    """

    def __init__(
        self,
        request: TrainingRequest,
        start_process: Callable[..., WorkerProcess] = WorkerProcess,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_WORK_FOLDER_PREFIX))
        command = ["train", *request.to_arguments(), "--progress", "json"]
        try:
            self._process = start_process(command, self._folder, script=_SCRIPT, detached=True)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.progress: ProgressEvent | None = None
        self.failure: ErrorEvent | None = None
        self.warnings: list[str] = []
        self._ended = False

    @property
    def running(self) -> bool:
        """Whether it has not ended, or left events that were not read."""
        return not self._ended

    def update(self) -> bool:
        """Read new events, and return whether there were any."""
        if self._ended:
            return False
        ended = self._process.exit_code is not None  # asked before reading, so that the last lines are read too
        events = self._process.new_events()
        for event in events:
            if isinstance(event, ProgressEvent):
                self.progress = event
            elif isinstance(event, WarningEvent):
                self.warnings.append(event.message)
            elif isinstance(event, ErrorEvent):
                self.failure = event
        if ended:
            self._end()
        return bool(events) or ended

    def _end(self) -> None:
        self._ended = True
        if self._process.exit_code and self.failure is None:
            last = self._process.log().strip().splitlines()[-1:]
            started = self.progress is not None  # otherwise the log has only this line
            hint = [_("Its log is in {folder}.").format(folder=self._folder)] if started else []
            message = _("The training process ended unexpectedly.")
            self.failure = ErrorEvent("crashed", message, " ".join([*last, *hint]))
        self._process.close()
        if self.failure is None or self.failure.code != "crashed" or self.progress is None:
            shutil.rmtree(self._folder, ignore_errors=True)


def can_start(request: TrainingRequest, watch: ExperimentWatch, starting: bool, missing: str = "") -> Availability:
    """Return whether a new training can start, and why not.

    Args:
        request: What to train.
        watch: State of the experiment in the chosen folder.
        starting: Whether a training is being started.
        missing: Names of packages that are not installed; empty if all are.
    """
    if starting or watch.running:
        return Availability(False, _("A training is running."))
    if request.data is None:
        return Availability(False, _("Choose the folder with the patients."))
    if request.output is None:
        return Availability(False, _("Choose a folder for the experiment."))
    if not request.architectures:
        return Availability(False, _("Choose at least one architecture."))
    if watch.progress is not None:
        return Availability(False, _("The folder holds an experiment already: resume it, or choose another folder."))
    with suppress(OSError):  # the training itself reports a folder that cannot be read
        if request.output.is_dir() and any(request.output.iterdir()):
            return Availability(False, _("The experiment's folder is not empty: choose another."))
    try:
        for name, value in request.settings.items():
            check_setting(name, value)
    except UsageError as error:
        return Availability(False, f"{error} {error.hint}".strip())
    if missing:
        return Availability(True, _("Train; first this asks to install {what}.").format(what=missing))
    return Availability(True, _("Check the patients and train. It continues when Slicer is closed."))


def can_resume(watch: ExperimentWatch, starting: bool) -> Availability:
    """Return whether an experiment can be resumed, and why not."""
    if starting or watch.running:
        return Availability(False, _("A training is running."))
    if watch.progress is None:
        return Availability(False, watch.problem or _("The experiment's folder holds no experiment."))
    if watch.progress.finished:
        return Availability(False, _("All folds are finished."))
    if watch.data is not None and not watch.data.exists():
        return Availability(
            True, _("The patients were moved: choose their folder. Their files are recognized by content.")
        )
    return Availability(True, _("Continue from the last checkpoint."))


def can_stop(watch: ExperimentWatch) -> Availability:
    """Return whether a training can be stopped, and why not."""
    if not watch.running:
        return Availability(False, _("No training is running."))
    return Availability(True, _("Everything is saved; “Resume” continues from there."))
