"""Scripted module that trains Token-UNet and its baselines on labeled patients, in a process that outlives Slicer."""

# ruff: noqa: N803  parameters are named as in Slicer's own modules

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from TokenUNetSegmentationLib.logic.options import Device
from TokenUNetTrainingLib.logic.options import Preset

if TYPE_CHECKING:
    from tokenunet.training.request import TrainingRequest
    from TokenUNetTrainingLib.logic.run import TrainingRun
    from TokenUNetTrainingLib.logic.status import TrainingStatus

# The application imports this file at its start: everything else is imported when the module is opened.

_RESOURCES = Path(__file__).parent / "Resources"
_POLL_MS = 1000
_CATCH_UP_MS = 50
"""Polling interval while a long log is being read."""


class TokenUNetTraining(ScriptedLoadableModule):
    """Description of the module in the application."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Token-UNet Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["TokenUNetSegmentation", "Plots"]
        parent.contributors = ["Token-UNet contributors"]
        picture = self.resourcePath("Icons/TokenUNetTraining.png")
        parent.helpText = f'<p><img src="{picture}" width="96" height="96"></p><p>' + _(
            "Trains Token-UNet, UNet and SwinUNETR on your own labeled patients: five folds, their curves, a report "
            "with the paper's figures, and a model for Token-UNet Segmentation. The training continues when Slicer "
            "is closed, and is found again. Everything stays on this computer. Research software, not a medical device."
        )
        parent.acknowledgementText = _(
            "The protocol is described in the Token-UNet paper (2026); PyTorch, Lightning Fabric and MONAI compute."
        )


@parameterNodeWrapper
class TokenUNetTrainingParameterNode:
    """State of the panel that is saved with the scene.

    Attributes:
        data: Folder with the patients.
        experiment: Folder of the experiment.
        preset: Preset of the training settings.
        architectures: Names of the networks to train, separated by commas.
        folds: Number of folds of the cross-validation.
        device: Device to train on.
        settings: Lines NAME=VALUE that override settings of the preset.
        labels: Name of the label scheme of the ground truth; empty to detect it.
    """

    data: str = ""
    experiment: str = ""
    preset: Preset = Preset.QUICK
    architectures: str = "token_unet_transformer"
    folds: Annotated[int, WithinRange(2, 20)] = 5
    device: Device = Device.AUTO
    settings: str = ""
    labels: str = ""


class TokenUNetTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Panel of the module, which connects the parameter node with the sections."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._tableWidths = ()

    def setup(self) -> None:
        """Build the panel when the module is opened for the first time."""
        from TokenUNetSegmentationLib.process.dependencies import read_requirements
        from TokenUNetTrainingLib.panels.data import DataPanel
        from TokenUNetTrainingLib.panels.progress import ProgressPanel
        from TokenUNetTrainingLib.panels.results import ResultsPanel
        from TokenUNetTrainingLib.panels.training import TrainingPanel

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/TokenUNetTraining.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = TokenUNetTrainingLogic()
        self.watch = self.logic.watch
        requirements = read_requirements(_RESOURCES / "TokenUNetTraining-requirements.txt")
        self.trainingPanel = TrainingPanel(
            self.ui, self.parameters, self.watch, requirements, self.show, self.logic.start
        )
        self.dataPanel = DataPanel(self.ui, self.request, self.trainingPanel.installation)
        self.progressPanel = ProgressPanel(self.ui, self.watch)
        self.resultsPanel = ResultsPanel(self.ui, self.watch)
        self.timer = qt.QTimer()
        self.timer.setInterval(_POLL_MS)
        self.timer.timeout.connect(self.onTimer)
        self.timer.start()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        for event in (scene.EndImportEvent, scene.EndUndoEvent, scene.EndRedoEvent):
            self.addObserver(scene, event, self.onSceneReplaced)
        slicer.app.connect("aboutToQuit()", self.onQuit)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Release all processes and observers: the module is closed or reloaded."""
        self.onQuit()
        slicer.app.disconnect("aboutToQuit()", self.onQuit)
        self.setParameterNode(None)
        self.removeObservers()

    def onQuit(self) -> None:
        """End all background work of this window; a training continues."""
        self.timer.stop()
        self.dataPanel.close()
        self.resultsPanel.abandon()

    def enter(self) -> None:
        """Update the panel: the user has opened the module."""
        self.initializeParameterNode()

    def onSceneStartClose(self, caller, event) -> None:
        """Remove the curves from the scene that is about to be closed."""
        self.progressPanel.curves.remove()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Connect the panel to the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneReplaced(self, caller, event) -> None:
        """Wrap the parameter node again, and fill in the form with what was loaded."""
        if self._parameterNode:
            self.setParameterNode(None)
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Connect the panel to the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: TokenUNetTrainingParameterNode | None) -> None:
        """Connect the panel to a parameter node, or disconnect it for None."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.show)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.trainingPanel.load()
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.show)
            self.watch.update()
            self.show()

    def parameters(self) -> TokenUNetTrainingParameterNode | None:
        """Return the parameter node; None while there is no scene."""
        return self._parameterNode

    def request(self) -> "TrainingRequest | None":
        """Return the training request of the form; None while there is no scene."""
        return self.trainingPanel.request() if self._parameterNode else None

    def onTimer(self) -> None:
        """Display what the training process has written since the last call."""
        news = self.watch.update()
        widths = self.tableWidths()
        if self.trainingPanel.update() or news or widths != self._tableWidths:
            self._tableWidths = widths
            self.show()
        self.timer.setInterval(_CATCH_UP_MS if self.watch.behind else _POLL_MS)

    def tableWidths(self) -> tuple[int, ...]:
        """Return the widths of the tables in pixels: their rows wrap, so a table's height depends on its width."""
        tables = (self.ui.findingsTable, self.ui.foldsTable, self.ui.resultsTable, self.ui.casesTable)
        return tuple(table.width for table in tables)

    def show(self, caller=None, event=None) -> None:
        """Update all sections of the panel."""
        if self._parameterNode:
            self.trainingPanel.show()
            self.dataPanel.show()
            self.progressPanel.show()
            self.resultsPanel.show()


class TokenUNetTrainingLogic(ScriptedLoadableModuleLogic):
    """Trainings in separate processes, without the panel."""

    def __init__(self) -> None:
        from TokenUNetTrainingLib.logic.run import ExperimentWatch

        ScriptedLoadableModuleLogic.__init__(self)
        self.watch = ExperimentWatch()
        self._runs: dict[Path, TrainingRun] = {}

    def getParameterNode(self) -> TokenUNetTrainingParameterNode:
        """Return the module's parameter node."""
        return TokenUNetTrainingParameterNode(super().getParameterNode())

    def start(self, request: "TrainingRequest") -> "TrainingRun":
        """Start a training in a process that continues when the application is closed.

        Args:
            request: What to train, or which experiment to resume.

        Raises:
            OSError: If the process cannot be started.
        """
        from TokenUNetTrainingLib.logic.run import TrainingRun

        run = TrainingRun(request)
        if request.output is not None:
            self._runs[request.output] = run
        return run

    def status(self, experiment: Path) -> "TrainingStatus":
        """Return how far the training in an experiment's folder is, whoever started it.

        Args:
            experiment: Folder of the experiment, which need not be there yet.
        """
        from TokenUNetTrainingLib.logic.status import status_of

        self.watch.look_at(experiment)
        self.watch.update()
        while self.watch.behind:
            self.watch.update()
        run = self._runs.get(experiment)
        if run is not None:
            run.update()
        return status_of(self.watch, run)


class TokenUNetTrainingTest(ScriptedLoadableModuleTest):
    """Self-tests in the application; the tests in the source tree cover every button on a stand-in."""

    def runTest(self) -> None:
        """Run each self-test in an empty scene."""
        from TokenUNetTrainingLib.self_tests import SELF_TESTS

        for test in SELF_TESTS:
            slicer.mrmlScene.Clear()
            self.delayDisplay(test.__doc__)
            test(self)
        self.delayDisplay("Test passed")
