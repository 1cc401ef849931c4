"""Scripted module that segments gliomas in four MR sequences with Token-UNet and displays its attention maps."""

# ruff: noqa: N803, N815  parameters are named as in Slicer's own modules

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
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
from TokenUNetSegmentationLib.logic.options import Device, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenunet.core.events import ProgressEvent
    from TokenUNetSegmentationLib.logic.run import RunRequest, SegmentationRun
    from TokenUNetSegmentationLib.scene.results import PatientResult

# The application imports this file at its start: everything else is imported when the module is opened.

_RESOURCES = Path(__file__).parent / "Resources"


class TokenUNetSegmentation(ScriptedLoadableModule):
    """Description of the module in the application."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Token-UNet Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "VolumeRendering"]
        parent.contributors = ["Token-UNet contributors"]
        picture = self.resourcePath("Icons/TokenUNetSegmentation.png")
        parent.helpText = f'<p><img src="{picture}" width="96" height="96"></p><p>' + _(
            "Segments glioma (whole tumor, tumor core, enhancing tumor) in T1, contrast-enhanced T1, T2 and FLAIR, "
            "and displays the attention maps of the network. Load the four volumes, press Segment. "
            "Everything stays on this computer. Research software, not a medical device."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
        parent.acknowledgementText = _(
            "The network is described in the Token-UNet paper (2026); PyTorch and MONAI do the computing."
        )


def registerSampleData() -> None:
    """Add the synthetic patient to the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Token-UNet",
        sampleName="Token-UNet synthetic glioma",
        uris=[],
        fileNames=[],
        customDownloader=makeSample,
        thumbnailFileName=str(_RESOURCES / "Icons" / "TokenUNetSyntheticGlioma.png"),
    )


def makeSample(source) -> list[vtkMRMLScalarVolumeNode]:
    """Generate the synthetic patient and return its volumes."""
    from TokenUNetSegmentationLib.logic.sample_data import make_sample

    return make_sample(_RESOURCES / "requirements.txt")


@parameterNodeWrapper
class TokenUNetSegmentationParameterNode:
    """State of the panel that is saved with the scene.

    Attributes:
        reference: Channel on whose grid the result is.
        device: Device to run on.
        mode: Inference mode.
        attentionMaps: Whether to compute and load the attention maps.
        segmentation: Selected result.
        overlayGroup: Displayed group of overlays; empty for the first one.
        overlayNumber: Number of the overlay displayed over the slices; 0 for none.
        overlayOpacity: Opacity of the overlay, from 0 to 1.
        overlayThreshold: Percentage of the overlay's display range below which it is transparent.
    """

    reference: str = "T1ce"
    device: Device = Device.AUTO
    mode: Mode = Mode.SINGLE_PASS
    attentionMaps: bool = True
    segmentation: vtkMRMLSegmentationNode
    overlayGroup: str = ""
    overlayNumber: int = 0
    overlayOpacity: Annotated[float, WithinRange(0, 1)] = 0.6
    overlayThreshold: Annotated[float, WithinRange(0, 100)] = 15.0


class TokenUNetSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Panel of the module, which connects the parameter node with the sections."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._nodesSettling = False

    def setup(self) -> None:
        """Build the panel when the module is opened for the first time."""
        from TokenUNetSegmentationLib.panels.batch import BatchPanel
        from TokenUNetSegmentationLib.panels.comparison import ComparisonPanel
        from TokenUNetSegmentationLib.panels.diameters import DiametersPanel
        from TokenUNetSegmentationLib.panels.followup import FollowUpPanel
        from TokenUNetSegmentationLib.panels.inputs import InputsPanel
        from TokenUNetSegmentationLib.panels.model_import import ModelImportPanel
        from TokenUNetSegmentationLib.panels.overlays import OverlaysPanel
        from TokenUNetSegmentationLib.panels.report import ReportPanel
        from TokenUNetSegmentationLib.panels.result import ResultPanel
        from TokenUNetSegmentationLib.panels.review import ReviewPanel
        from TokenUNetSegmentationLib.panels.run import RunPanel
        from TokenUNetSegmentationLib.process.dependencies import read_requirements
        from TokenUNetSegmentationLib.scene.results import RESULT_ATTRIBUTE

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/TokenUNetSegmentation.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = TokenUNetSegmentationLogic()
        self.ui.segmentationSelector.addAttribute("vtkMRMLSegmentationNode", RESULT_ATTRIBUTE, "1")
        requirements = read_requirements(_RESOURCES / "requirements.txt")
        self.inputsPanel = InputsPanel(self.ui, self.parameters, self.onParametersChanged)
        self.runPanel = RunPanel(
            self.ui, self.parameters, self.inputsPanel, requirements, self.onParametersChanged, self.onResult
        )
        self.modelImportPanel = ModelImportPanel(
            self.ui, self.runPanel.installation.install, self.runPanel.choose_model
        )
        self.resultPanel = ResultPanel(self.ui, self.result, lambda *saved: self.batchPanel.correct(*saved))
        self.overlaysPanel = OverlaysPanel(self.ui, self.parameters, self.result, panel)
        self.comparisonPanel = ComparisonPanel(self.ui, self.parameters, self.result)
        self.reviewPanel = ReviewPanel(self.ui, self.result, self.resultPanel.notice_correction)
        self.diametersPanel = DiametersPanel(self.addSection(panel, "TokenUNetDiameters.ui"), self.result)
        self.reportPanel = ReportPanel(
            self.addSection(panel, "TokenUNetReport.ui"),
            self.result,
            lambda packages: self.runPanel.installation.install(further=packages),
        )
        self.batchPanel = BatchPanel(
            self.addSection(panel, "TokenUNetBatch.ui"),
            self.runPanel.settings,
            self.runPanel.installation,
            self.onResult,
        )
        self.followUpPanel = FollowUpPanel(
            self.addSection(panel, "TokenUNetFollowUp.ui"), self.runPanel.settings, self.runPanel.installation
        )
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        for event in (scene.EndImportEvent, scene.EndUndoEvent, scene.EndRedoEvent):
            self.addObserver(scene, event, self.onSceneReplaced)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodesChanged)
        slicer.app.connect("aboutToQuit()", self.onQuit)
        self.initializeParameterNode()

    def addSection(self, panel, name: str):
        """Add the section in a .ui file to the end of the panel, and return its widgets."""
        section = slicer.util.loadUI(self.resourcePath(f"UI/{name}"))
        panel.layout().insertWidget(panel.layout().count() - 1, section)  # before the spacer
        return slicer.util.childWidgetVariables(section)

    def cleanup(self) -> None:
        """Release all processes and observers: the module is closed or reloaded."""
        self.onQuit()
        self.modelImportPanel.abandon()
        slicer.app.disconnect("aboutToQuit()", self.onQuit)
        self.diametersPanel.release()
        self.setParameterNode(None)  # or, after a reload, the scene would update deleted widgets
        self.removeObservers()

    def onQuit(self) -> None:
        """End all background work and processes."""
        self.batchPanel.abandon()
        self.resultPanel.end_remaking()
        self.endWorkOnScene()

    def endWorkOnScene(self) -> None:
        """End the background work on the scene."""
        self.batchPanel.abandon_loading()
        self.runPanel.abandon()
        self.resultPanel.abandon()
        self.overlaysPanel.abandon()
        self.comparisonPanel.abandon()
        self.followUpPanel.abandon()
        self.reportPanel.abandon()

    def enter(self) -> None:
        """Update the panel: the user has opened the module."""
        self.initializeParameterNode()
        self.runPanel.enter()
        self.resultPanel.finish_edit()
        self.overlaysPanel.forget()
        self.onNodesSettled()

    def onSceneStartClose(self, caller, event) -> None:
        """End the work on the scene that is about to be closed; a batch does not need it."""
        self.endWorkOnScene()
        self.setParameterNode(None)
        self.resultPanel.release()
        self.diametersPanel.release()

    def onSceneEndClose(self, caller, event) -> None:
        """Connect the panel to the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.runPanel.keep_warm()

    def onSceneReplaced(self, caller, event) -> None:
        """Wrap the parameter node again: the old wrapper returns None for nodes that were loaded after it."""
        from TokenUNetSegmentationLib.scene.results import all_results

        if self._parameterNode:
            self.setParameterNode(None)
            self.initializeParameterNode()
            results = all_results()
            if results and self._parameterNode.segmentation is None:
                self._parameterNode.segmentation = results[-1].segmentation

    def onNodesChanged(self, caller, event) -> None:
        """Schedule an update for when the added nodes are complete."""
        if not self._nodesSettling and not self.runPanel.running:
            self._nodesSettling = True
            qt.QTimer.singleShot(0, self.onNodesSettled)

    def onNodesSettled(self) -> None:
        """Select new volumes as inputs, and update the panel."""
        self._nodesSettling = False
        if self._parameterNode:
            self.inputsPanel.fill()
            self.onParametersChanged()

    def initializeParameterNode(self) -> None:
        """Connect the panel to the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: TokenUNetSegmentationParameterNode | None) -> None:
        """Connect the panel to a parameter node, or disconnect it for None."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.onParametersChanged()

    def parameters(self) -> TokenUNetSegmentationParameterNode | None:
        """Return the parameter node; None while there is no scene."""
        return self._parameterNode

    def result(self) -> "PatientResult | None":
        """Return the selected result; None if there is none."""
        from TokenUNetSegmentationLib.scene.results import PatientResult

        segmentation = self._parameterNode.segmentation if self._parameterNode else None
        return None if segmentation is None else PatientResult(segmentation)

    def onParametersChanged(self, caller=None, event=None) -> None:
        """Update all sections of the panel."""
        if self._parameterNode:
            self.inputsPanel.show(self.runPanel.running)
            self.runPanel.show()
            self.resultPanel.show()
            self.overlaysPanel.show()
            self.comparisonPanel.show()
            self.followUpPanel.show()
            self.reviewPanel.show()
            self.diametersPanel.show()
            self.reportPanel.show()

    def onResult(self, result: "PatientResult") -> Iterator[None]:
        """Display a new result in short steps."""
        from TokenUNetSegmentationLib.scene.displays import show_result

        self._parameterNode.segmentation = result.segmentation
        yield
        show_result(result)
        yield


class TokenUNetSegmentationLogic(ScriptedLoadableModuleLogic):
    """Segmentation of volumes in the scene, without the panel."""

    def getParameterNode(self) -> TokenUNetSegmentationParameterNode:
        """Return the module's parameter node."""
        return TokenUNetSegmentationParameterNode(super().getParameterNode())

    def segment(
        self,
        volumes: "Mapping[str, vtkMRMLScalarVolumeNode | None]",
        model: str = "default",
        reference: str = "T1ce",
        device: str = "auto",
        mode: str = "single_pass",
        attention_maps: bool = True,
        on_progress: "Callable[[ProgressEvent], None]" = lambda progress: None,
    ) -> vtkMRMLSegmentationNode:
        """Segment a patient in a worker process, and wait for the result while the window stays responsive.

        Args:
            volumes: Volume of each of the model's channels, such as T1, T1ce, T2 and FLAIR; those that the model can
                do without may be absent or None.
            model: Name or path of a model bundle.
            reference: Channel on whose grid the result is.
            device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
            mode: `single_pass` for the whole brain at once, `sliding_window` for windows.
            attention_maps: Whether to compute the attention maps, if the model has any.
            on_progress: Callback that receives the progress; may raise to stop.

        Returns:
            Segmentation of whole tumor (WT), tumor core (TC) and enhancing tumor (ET). Volume table, run report and
            attention maps are next to it in the subject hierarchy.

        Raises:
            TokenUNetError: If a package is not installed, a volume cannot be used, or the segmentation fails.
        """
        from tokenunet.bundle.store import find_manifest
        from tokenunet.inference.request import InferenceOptions
        from tokenunet.networks.registry import architecture
        from TokenUNetSegmentationLib.logic.segment import request_for, run_to_end
        from TokenUNetSegmentationLib.process.dependencies import check_installed, read_requirements

        check_installed(read_requirements(_RESOURCES / "requirements.txt"))
        manifest = find_manifest(model)
        has_maps = architecture(manifest.architecture).has_attention_maps
        options = InferenceOptions(device, mode, attention_maps=attention_maps and has_maps)
        run = self.createRun(request_for(volumes, model, manifest.inputs, reference, options))
        return run_to_end(run, on_progress).segmentation

    def createRun(self, request: "RunRequest") -> "SegmentationRun":
        """Return a run that has not begun; its steps can be taken one by one, as the panel does."""
        from TokenUNetSegmentationLib.logic.run import SegmentationRun

        return SegmentationRun(request, Path(slicer.app.temporaryPath))


class TokenUNetSegmentationTest(ScriptedLoadableModuleTest):
    """Self-tests in the application; the tests in the source tree cover every button on a stand-in."""

    def runTest(self) -> None:
        """Run each self-test in an empty scene."""
        from TokenUNetSegmentationLib.self_tests.tests import SELF_TESTS

        for test in SELF_TESTS:
            slicer.mrmlScene.Clear()
            self.delayDisplay(test.__doc__)
            test(self)
        self.delayDisplay("Test passed")
