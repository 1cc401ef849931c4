"""Section "Training" of the panel: settings, buttons and progress."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctk
import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.label_schemes import LABEL_SCHEMES, described
from tokenunet.training.config.configuration import preset_values
from tokenunet.training.request import TrainingRequest
from TokenUNetSegmentationLib.logic.stages import stage_title
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.process.dependencies import describe

from TokenUNetTrainingLib.logic.options import Preset
from TokenUNetTrainingLib.logic.run import (
    ExperimentWatch,
    TrainingRun,
    can_resume,
    can_start,
    can_stop,
)
from TokenUNetTrainingLib.logic.status import status_of
from TokenUNetTrainingLib.panels.settings_form import architecture_boxes, setting_edits

if TYPE_CHECKING:  # not at run time: its packages are installed at the first click
    from tokenunet.training.experiment.experiment import Experiment

_LAST_EXPERIMENT = "TokenUNetTraining/experiment"


class TrainingPanel:
    """Section that starts, stops and resumes trainings.

    Args:
        ui: Widgets of the .ui file.
        parameters: Function that returns the module's parameter node, or None while there is no scene.
        watch: State of the experiment.
        requirements: Packages that must be installed.
        on_changed: Callback after changes that other sections display.
        start_run: Function that starts the process of a request.
    """

    def __init__(
        self,
        ui: Any,
        parameters: Callable[[], Any],
        watch: ExperimentWatch,
        requirements: list[Requirement],
        on_changed: Callable[[], None],
        start_run: Callable[[TrainingRequest], TrainingRun],
    ) -> None:
        self._ui = ui
        self._parameters = parameters
        self._watch = watch
        self._on_changed = on_changed
        self._run: TrainingRun | None = None
        self._message = ""
        self._stopping = ""
        self._loading = False
        self.start_run = start_run
        self.installation = InstallationPanel(ui, requirements, self._on_installation)
        self.boxes = architecture_boxes(ui.architecturesForm)
        """Check box of each registered architecture, by name."""
        self.edits = setting_edits(ui.settingsForm)
        """Line edit of each setting in the form, by name."""
        ui.foldsBox.setRange(2, 20)
        ui.dataPath.filters = ui.experimentPath.filters = ctk.ctkPathLineEdit.Dirs
        ui.dataPath.currentPathChanged.connect(lambda *_: self._store())
        ui.experimentPath.currentPathChanged.connect(lambda *_: self._store())
        ui.dataPath.validInputChanged.connect(
            lambda *_: self._store()
        )  # the only signal that is sent when a path is cleared
        ui.experimentPath.validInputChanged.connect(lambda *_: self._store())
        for box in self.boxes.values():
            box.toggled.connect(lambda *_: self._store())
        for scheme, title in (("", _("recognized")), *((scheme, described(scheme)) for scheme in LABEL_SCHEMES)):
            ui.labelsBox.addItem(title, scheme)
        ui.labelsBox.currentIndexChanged.connect(lambda *_: self._store())
        for edit in self.edits.values():
            edit.textChanged.connect(lambda *_: self._store())
        ui.startButton.clicked.connect(lambda *_: self._start(self.request()))
        ui.resumeButton.clicked.connect(lambda *_: self._start(self.resume_request()))
        ui.stopAfterEpochButton.clicked.connect(lambda *_: self._stop("epoch"))
        ui.stopNowButton.clicked.connect(lambda *_: self._stop("now"))

    @property
    def _starting(self) -> bool:
        return self._run is not None and self._run.running

    def request(self) -> TrainingRequest:
        """Return the training request of the form."""
        parameters = self._parameters()
        return TrainingRequest(
            data=Path(parameters.data) if parameters.data else None,
            output=Path(parameters.experiment) if parameters.experiment else None,
            preset=parameters.preset.value,
            architectures=tuple(name for name in self.boxes if name in parameters.architectures.split(",")),
            folds=parameters.folds,
            device=parameters.device.value,
            settings=dict(line.split("=", 1) for line in parameters.settings.splitlines()),
            labels=parameters.labels or None,
        )

    def resume_request(self) -> TrainingRequest:
        """Return the request that continues the experiment in the chosen folder."""
        request, recorded = self.request(), self._watch.data
        moved = None if recorded is None or request.data == recorded else request.data
        return TrainingRequest(request.output, moved, device=request.device, resume=True)

    def load(self) -> None:
        """Fill in the form from the parameter node; a scene without experiment gets the last one that was opened."""
        parameters = self._parameters()
        if not parameters.experiment:
            parameters.experiment = str(slicer.app.settings().value(_LAST_EXPERIMENT) or "")
        request = self.request()
        self._loading = True  # the widgets must not store a half-filled form
        try:
            self._ui.dataPath.setCurrentPath(str(request.data or ""))
            self._ui.experimentPath.setCurrentPath(str(request.output or ""))
            self._ui.labelsBox.setCurrentIndex(max(0, self._ui.labelsBox.findData(request.labels or "")))
            for name, box in self.boxes.items():
                box.setChecked(name in (request.architectures or ()))
            for name, edit in self.edits.items():
                edit.setText(request.settings.get(name, ""))
        finally:
            self._loading = False
        self._look_at(request.output)

    def _look_at(self, experiment: Path | None) -> None:
        """Watch an experiment; if the folder holds one, the form shows what it trains."""
        news = experiment != self._watch.folder
        self._watch.look_at(experiment)
        self._watch.update()
        if news and self._watch.progress is not None:
            self._fill_in(self._watch.progress.experiment)

    def _fill_in(self, experiment: "Experiment") -> None:
        """Fill in the form with an experiment's settings."""
        parameters, plan = self._parameters(), experiment.plan
        folder = experiment.description["dataset"]["folder"]
        overrides = {name: _text(value) for name, value in plan.overrides.items()}
        self._loading = True
        try:
            if not experiment.synthetic:
                parameters.data = folder
                parameters.preset = Preset(plan.preset)
                parameters.folds = plan.folds
                self._ui.dataPath.setCurrentPath(folder)
            parameters.architectures = ",".join(plan.architectures)
            parameters.settings = "\n".join(f"{name}={value}" for name, value in overrides.items())
            for name, box in self.boxes.items():
                box.setChecked(name in plan.architectures)
            for name, edit in self.edits.items():
                edit.setText(overrides.get(name, ""))
        finally:
            self._loading = False

    def _store(self) -> None:
        parameters = self._parameters()
        if parameters is None or self._loading:
            return
        parameters.data = self._ui.dataPath.currentPath
        parameters.experiment = self._ui.experimentPath.currentPath
        parameters.labels = str(self._ui.labelsBox.itemData(self._ui.labelsBox.currentIndex))
        parameters.architectures = ",".join(name for name, box in self.boxes.items() if box.checked)
        changed = {name: edit.text.strip() for name, edit in self.edits.items()}
        parameters.settings = "\n".join(f"{name}={value}" for name, value in changed.items() if value)
        slicer.app.settings().setValue(_LAST_EXPERIMENT, parameters.experiment)
        experiment = self.request().output
        if experiment != self._watch.folder:
            self._message = ""
        self._look_at(experiment)
        self._on_changed()

    def update(self) -> bool:
        """Read new events of the started process, and return whether there were any."""
        if self._run is None or not self._run.update():
            return False
        failure = self._run.failure
        if failure is not None and failure.code != "cancelled":
            self._message = f"<b>⚠</b> {escape(failure.message)} {escape(failure.hint)}"
        return True

    def show(self) -> None:
        """Update all that is displayed."""
        request = self.request()
        missing = self.installation.missing
        answers = {
            "startButton": can_start(request, self._watch, self._starting, describe(missing) if missing else ""),
            "resumeButton": can_resume(self._watch, self._starting),
            "stopAfterEpochButton": can_stop(self._watch),
            "stopNowButton": can_stop(self._watch),
        }
        for name, answer in answers.items():
            button = getattr(self._ui, name)
            button.setEnabled(answer.possible)
            button.setToolTip(answer.reason)
        self.installation.show()
        self._show_defaults(request)
        busy = self._starting or self._watch.running
        self._ui.progressBar.setVisible(busy)
        if busy:
            self._show_bar()
        message = self._status(busy)
        warnings = "".join(f"<br><b>⚠</b> {escape(warning)}" for warning in (self._run.warnings if self._run else ()))
        self._ui.messageLabel.setText(message + warnings)
        self._ui.messageLabel.setVisible(bool(message + warnings))

    def _status(self, busy: bool) -> str:
        """Return the state of the training, or how it ended."""
        progress = self._watch.progress
        if busy:
            return self._stopping
        if self._message or progress is None:
            return self._message
        if progress.finished:
            return _("All folds are trained.")
        return escape(progress.message) or _(
            "The training is not running; “Resume” continues from the last checkpoint."
        )

    def _show_bar(self) -> None:
        status = status_of(self._watch, self._run)
        seconds = status.seconds_left
        left = "" if seconds is None else _(", about {time} left").format(time=duration(seconds))
        self._ui.progressBar.setValue(round(100 * status.fraction))
        self._ui.progressBar.setFormat(f"{_stage_title(status.stage)} %p%{left}")

    def _show_defaults(self, request: TrainingRequest) -> None:
        """Display the preset's values as placeholders of empty settings."""
        values = preset_values(request.preset)  # type: ignore[arg-type]
        for name, edit in self.edits.items():
            value = values[name]
            edit.setPlaceholderText(", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}")

    def _start(self, request: TrainingRequest) -> None:
        if not self.installation.install():
            return
        self._message = self._stopping = ""
        try:
            self._run = self.start_run(request)
        except OSError as error:  # the temporary folder cannot be written, or the interpreter is gone
            self._message = sentence(error)
        self._on_changed()

    def _stop(self, when: str) -> None:
        if self._watch.progress is not None:
            after_epoch, at_once = _("Stopping after this epoch."), _("Saving everything, then stopping.")
            self._stopping = after_epoch if when == "epoch" else at_once
            try:
                self._watch.progress.experiment.request_stop(when)  # type: ignore[arg-type]
            except TokenUNetError as error:
                self._stopping = sentence(error)
            self._on_changed()

    def _on_installation(self, message: str) -> None:
        self._message = message
        self._on_changed()


def _stage_title(stage: str) -> str:
    return _("Preparing the patients") if stage == "prepare" else stage_title(stage)


def _text(value: Any) -> str:
    """Return a setting's value as text for its line edit."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def duration(seconds: float) -> str:
    """Return a duration such as 45 s, 12 min or 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
