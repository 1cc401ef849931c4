"""Section "Segmentation" of the panel: options, buttons, progress and errors."""

import functools
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.core.errors import Cancelled
from tokenunet.inference.request import InferenceOptions, SegmentationRequest

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.logic.diagnostics import diagnostics
from TokenUNetSegmentationLib.logic.estimate import estimate, free_gigabytes, remember
from TokenUNetSegmentationLib.logic.inputs import Availability
from TokenUNetSegmentationLib.logic.model_list import ListedModel, available_models
from TokenUNetSegmentationLib.logic.options import Mode
from TokenUNetSegmentationLib.logic.run import RunRequest, SegmentationRun
from TokenUNetSegmentationLib.logic.segment import request_for
from TokenUNetSegmentationLib.logic.stages import stage_title
from TokenUNetSegmentationLib.panels.inputs import InputsPanel
from TokenUNetSegmentationLib.panels.installation import InstallationPanel
from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.process import dependencies
from TokenUNetSegmentationLib.process.warm_worker import WarmWorker
from TokenUNetSegmentationLib.scene.results import PatientResult

_COMBO_BOX_FRAME = 36
_WIDEST_COMBO_BOX = 275
"""Pixels, of a panel that is 380 wide."""


def can_segment(
    problems: list[str], models: dict[str, ListedModel], missing: list[Requirement], running: bool, installing: bool
) -> Availability:
    """Return whether the button can be pressed, and why not."""
    if installing:
        return Availability(False, _("Packages are being installed."))
    if running:
        return Availability(False, _("A segmentation is running."))
    if problems:
        return Availability(False, problems[0])
    if not models:
        return Availability(False, _("No model is installed: install the extension again."))
    if missing:
        return Availability(
            True, _("Segment; first this asks to install {what}.").format(what=dependencies.describe(missing))
        )
    return Availability(True, _("Segment whole tumor, tumor core and enhancing tumor."))


class RunPanel:
    """Section that starts runs, displays their progress and passes on their results.

    Args:
        ui: Widgets of the .ui file.
        parameters: Function that returns the module's parameter node, or None while there is no scene.
        inputs: Section with the selectors.
        requirements: Packages that must be installed.
        on_changed: Callback after changes that other sections display.
        on_result: Function that displays the result of a finished run in short steps.
    """

    def __init__(
        self,
        ui: Any,
        parameters: Callable[[], Any],
        inputs: InputsPanel,
        requirements: list[Requirement],
        on_changed: Callable[[], None],
        on_result: Callable[[PatientResult], Iterator[None]],
    ) -> None:
        self._ui = ui
        self._parameters = parameters
        self._inputs = inputs
        self._requirements = requirements
        self._on_changed = on_changed
        self._on_result = on_result
        self._run: SegmentationRun | None = None
        self._message = ""
        self._steps = BackgroundSteps(self._show_progress, self._end)
        self._entered = False
        self.warm_worker = WarmWorker()
        self.start_run: Callable[[RunRequest, Path], SegmentationRun] = functools.partial(
            SegmentationRun, start_worker=self.warm_worker.worker
        )
        self.installation = InstallationPanel(ui, requirements, self._on_installation)
        self._models: dict[str, ListedModel] = {}
        self.find_models()
        ui.modelBox.currentIndexChanged.connect(lambda *_: self._on_model())
        self._on_model()
        ui.segmentButton.clicked.connect(lambda *_: self.segment())
        ui.cancelButton.clicked.connect(lambda *_: self.cancel())
        ui.logButton.toggled.connect(lambda *_: self.show())
        ui.diagnosticsButton.clicked.connect(lambda *_: self._copy_diagnostics())

    def enter(self) -> None:
        """Prepare for a click on "Segment": the user has opened the module."""
        self._entered = True
        self.find_models()
        self.keep_warm()

    def keep_warm(self) -> None:
        """Keep a worker ready for the next click, once the module has been opened."""
        if self._entered and not self.running and not self.installation.missing:
            self.warm_worker.start()

    def find_models(self) -> None:
        """List the models that are stored now; the selected one stays selected."""
        models = available_models()
        if models == self._models:
            return
        chosen = self._ui.modelBox.currentIndex
        name = self._ui.modelBox.itemData(chosen) if chosen >= 0 else None
        self._models = models
        self._ui.modelBox.clear()
        for key, model in models.items():
            self._ui.modelBox.addItem(model.title, key)
        if name in models:
            self._ui.modelBox.setCurrentIndex(list(models).index(name))

    def choose_model(self, name: str) -> None:
        """Select a stored model, which may be new.

        Args:
            name: Name of the model in the list.
        """
        self.find_models()
        self._ui.modelBox.setCurrentIndex(list(self._models).index(name))

    def _widen_model_box(self) -> None:
        """Make room for the title of the selected model; one too long for the box is displayed below it."""
        title = self._ui.modelBox.currentText
        width = self._ui.modelBox.fontMetrics().boundingRect(title).width() + _COMBO_BOX_FRAME
        self._ui.modelBox.setMinimumWidth(min(width, _WIDEST_COMBO_BOX))
        self._ui.modelTitle.setText(title)
        self._ui.modelTitle.setVisible(width > _WIDEST_COMBO_BOX)

    @property
    def running(self) -> bool:
        """Whether a segmentation is running."""
        return self._steps.running

    def show(self) -> None:
        """Update all that is displayed."""
        problems = self._inputs.problems()
        installation = self.installation
        answer = can_segment(
            list(problems.values()), self._models, installation.missing, self.running, installation.installing
        )
        self._ui.segmentButton.setEnabled(answer.possible)
        self._ui.segmentButton.setToolTip(answer.reason)
        self._ui.cancelButton.setEnabled(self.running)
        self._ui.cancelButton.setToolTip(
            _("Stop; scene and disk stay as they were.") if self.running else _("Nothing is running.")
        )
        self._ui.modelBox.setToolTip(_("The trained network: {name}.").format(name=self._ui.modelBox.currentText))
        for box in (self._ui.modelBox, self._ui.deviceBox, self._ui.referenceBox):
            box.setEnabled(not self.running)
        self._ui.modeBox.setEnabled(not self.running and not self._model().is_imported)
        self._ui.attentionMapsBox.setEnabled(not self.running and self._model().has_attention_maps)
        self.installation.show()
        known = bool(self._models) and not problems
        self._ui.estimateLabel.setText(self._estimate() if known else answer.reason)
        self._ui.estimateLabel.setVisible(known or not answer.possible)
        self._ui.progressBar.setVisible(self.running)
        self._ui.messageLabel.setVisible(bool(self._message))
        self._ui.messageLabel.setText(self._message)
        self._ui.logView.setVisible(self._ui.logButton.checked)
        self._ui.logView.setPlainText(self._run.log if self._run else "")

    def _on_model(self) -> None:
        self._inputs.set_channels(self._model().channels)
        self._widen_model_box()

    def settings(self, output: Path) -> SegmentationRequest | None:
        """Return a request without inputs that has the chosen model and options; None while there is no scene.

        Args:
            output: Folder for the results.
        """
        if self._parameters() is None:
            return None
        return SegmentationRequest({}, output, self._model_name(), options=self._inference_options())

    def _inference_options(self) -> InferenceOptions:
        parameters = self._parameters()
        maps = parameters.attentionMaps and self._model().has_attention_maps
        return InferenceOptions(parameters.device.value, self._mode().value, attention_maps=maps)

    def _model_name(self) -> str:
        return str(self._ui.modelBox.itemData(self._ui.modelBox.currentIndex))

    def _model(self) -> ListedModel:
        # A selected model that is not in the list, such as a folder, is treated as one of 1 mm.
        return self._models.get(self._model_name(), ListedModel(self._model_name()))

    def _mode(self) -> Mode:
        """Return the inference mode, which imported models cannot choose."""
        return Mode.SLIDING_WINDOW if self._model().is_imported else self._parameters().mode

    def _estimate(self) -> str:
        parameters = self._parameters()
        reference = self._inputs.inputs()[self._inputs.reference()]
        seconds, gigabytes = estimate(reference, self._model(), parameters.device, self._mode())
        free = free_gigabytes()
        if free is None:
            return _("About {seconds:.0f} s, {gigabytes:.1f} GB of memory.").format(
                seconds=seconds, gigabytes=gigabytes
            )
        return _("About {seconds:.0f} s, {gigabytes:.1f} GB of memory ({free:.1f} GB free).").format(
            seconds=seconds, gigabytes=gigabytes, free=free
        )

    def segment(self) -> None:
        """Start a run, after installing missing packages with the user's consent."""
        if not self.installation.install():
            return
        parameters = self._parameters()
        if parameters is None or self._inputs.problems():  # the scene was closed or changed during the installation
            return
        request = request_for(
            self._inputs.inputs(),
            self._model_name(),
            self._inputs.channels,
            self._inputs.reference(),
            self._inference_options(),
        )
        self._run = self.start_run(request, Path(slicer.app.temporaryPath))
        self._run.expected_seconds, _gigabytes = estimate(
            request.inputs[request.reference], self._model(), parameters.device, self._mode()
        )
        self._message = ""
        self._steps.start(self._run_and_show(self._run))
        self._show_progress()
        self._on_changed()

    def _run_and_show(self, run: SegmentationRun) -> Iterator[None]:
        parameters = self._parameters()
        model, device, mode, began = self._model(), parameters.device, self._mode(), time.monotonic()
        yield from run.steps()
        if run.result is not None:
            remember(run.result.require_reference(), model, device, mode, time.monotonic() - began)
            yield
            yield from self._on_result(run.result)

    def cancel(self) -> None:
        """Request cancellation of the run, which leaves scene and disk as they were."""
        if self._run is not None:
            self._run.cancel()

    def abandon(self) -> None:
        """End the run immediately and without a message: Slicer or the scene is being closed."""
        self._steps.abandon()
        self._message = ""
        self.warm_worker.end()

    def _show_progress(self) -> None:
        assert self._run
        progress = self._run.progress
        left = "" if progress.eta_s is None else _(", about {eta:.0f} s left").format(eta=progress.eta_s)
        self._ui.progressBar.setValue(round(100 * progress.fraction))
        self._ui.progressBar.setFormat(f"{stage_title(progress.stage)} %p%{left}")
        if self._ui.logButton.checked and self._ui.logView.plainText != self._run.log:
            self._ui.logView.setPlainText(self._run.log)

    def _end(self, error: Exception | None) -> None:
        assert self._run
        warnings = "".join(f"<br><b>⚠</b> {escape(warning)}" for warning in self._run.warnings)
        if error is None and self._run.result is not None:
            self._message = _("Done.") + warnings
        elif isinstance(error, Cancelled):
            self._message = _("Cancelled. The scene is as it was.")
        else:
            self._message = sentence(error) + warnings
            self._ui.optionsSection.collapsed = False  # with the log
        self.keep_warm()
        self._on_changed()

    def _on_installation(self, message: str) -> None:
        self._message = message
        self.keep_warm()
        self._on_changed()

    def _copy_diagnostics(self) -> None:
        slicer.app.clipboard().setText(diagnostics(self._run, self._message, self._requirements))
