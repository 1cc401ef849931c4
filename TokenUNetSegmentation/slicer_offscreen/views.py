"""Off-screen slice and 3D views, rendered by the displayable managers of the application."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2
import vtkmodules.vtkRenderingVolumeOpenGL2  # noqa: F401  the imports register the implementations
from numpy.typing import NDArray
from tokenunet.core.errors import DeviceError, OutputError
from vtkmodules.util.numpy_support import vtk_to_numpy

from slicer_offscreen.scene_host import OffscreenHost

_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLVolumeRenderingDisplayableManager",
)
_MARGIN = 1.08
_PROBE = """
import vtk
window = vtk.vtkRenderWindow()
window.SetOffScreenRendering(True)
window.SetSize(8, 8)
window.AddRenderer(vtk.vtkRenderer())
window.Render()
print("rendered" if window.SupportsOpenGL() else "no OpenGL")
"""


class RenderingUnavailableError(DeviceError):
    """OpenGL does not work without a display on this computer."""

    code = "no_rendering"


@cache
def require_rendering() -> None:
    """Check that views can be rendered, before the first one is created.

    This is tried in a separate process, since VTK would abort this one at its first picture.

    Raises:
        RenderingUnavailableError: If there is no usable OpenGL.
    """
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False, timeout=120)
    if probe.returncode or "rendered" not in probe.stdout:
        raise RenderingUnavailableError(
            "Pictures cannot be rendered: OpenGL does not work here without a display.",
            "On Debian or Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri",
        )


class _View:
    """Off-screen window with one renderer for displayable managers."""

    logic: slicer.vtkMRMLAbstractLogic

    def __init__(
        self,
        host: OffscreenHost,
        factory_class: type[slicer.vtkMRMLDisplayableManagerFactory],
        managers: tuple[str, ...],
        size: tuple[int, int],
    ) -> None:
        require_rendering()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)  # otherwise, translucent surfaces vanish off screen
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self._prepare_renderer()
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._interactor.Initialize()
        factory = factory_class.GetInstance()
        factory.SetMRMLApplicationLogic(host.app_logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.SetRenderer(self.renderer)
        self.managers.Initialize(factory, self.renderer)

    def _prepare_renderer(self) -> None:
        """Set up the renderer before the displayable managers are created."""

    def _join(self, host: OffscreenHost, logics: vtk.vtkCollection) -> None:
        """Add the view's logic to those of the application."""
        self._siblings = logics
        self.logic.SetMRMLApplicationLogic(host.app_logic)
        logics.AddItem(self.logic)
        self.logic.SetMRMLScene(host.scene)

    def grab(self, path: Path | None = None) -> NDArray[np.uint8]:
        """Render the view.

        Args:
            path: PNG file to write; None writes no file.

        Returns:
            Picture (height, width, 3) in RGB.

        Raises:
            OutputError: If the file cannot be written.
        """
        self.window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.SetInputBufferTypeToRGB()
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        image = grabber.GetOutput()
        if path is not None:
            writer = vtk.vtkPNGWriter()
            writer.SetFileName(str(path))
            writer.SetInputData(image)
            writer.Write()
            if writer.GetErrorCode():
                raise OutputError(f"{path} cannot be written.", "Make room on the disk.")
        width, height, _ = image.GetDimensions()
        return np.flipud(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)).copy()

    def close(self) -> None:
        """Remove the view's logic from the application, and free the window."""
        self.managers.SetMRMLDisplayableNode(None)
        self._siblings.RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        self.window.Finalize()


class SliceView(_View):
    """Slice view, such as "Red".

    Attributes:
        logic: Slice logic, with slice node and composite node.
        node: Slice node; an existing one of the same name is reused.
    """

    def __init__(
        self, host: OffscreenHost, name: str = "Red", orientation: str = "Axial", size: tuple[int, int] = (512, 512)
    ) -> None:
        super().__init__(host, slicer.vtkMRMLSliceViewDisplayableManagerFactory, _SLICE_MANAGERS, size)
        self.logic = slicer.vtkMRMLSliceLogic()
        self._join(host, host.app_logic.GetSliceLogics())
        existing = host.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if existing is None:
            self.node = self.logic.AddSliceNode(name)
        else:
            self.node = existing
            self.logic.SetSliceNode(existing)
        self.node.SetOrientation(orientation)
        self.node.SetMappedInLayout(1)
        self.managers.SetMRMLDisplayableNode(self.node)
        self.logic.ResizeSliceNode(*size)

    def _prepare_renderer(self) -> None:
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._image.SetVisibility(False)
        # The image is added before the managers' props, so that fills of segments blend with it.
        self.renderer.AddViewProp(self._image)

    @property
    def layers(self) -> slicer.vtkMRMLSliceCompositeNode:
        """Composite node with the displayed background, foreground and label volumes."""
        return self.logic.GetSliceCompositeNode()

    def fit(self) -> None:
        """Zoom so that the whole background volume is visible, without leaving the slice."""
        offset = self.node.GetSliceOffset()
        self.logic.FitSliceToBackground()
        self.logic.SetSliceOffset(offset)

    def frame(self, box: NDArray[np.float64]) -> None:
        """Zoom so that a box is visible, without leaving the slice.

        Args:
            box: Opposite corners (2, 3) in RAS mm.
        """
        offset = self.node.GetSliceOffset()
        self.node.JumpSliceByCentering(*box.mean(axis=0))
        self.node.SetSliceOffset(offset)
        axes = slicer.util.arrayFromVTKMatrix(self.node.GetSliceToRAS())[:3, :2]
        width, height = _MARGIN * np.abs(axes.T) @ np.abs(box[1] - box[0])
        columns, rows, _ = self.node.GetDimensions()
        mm_per_pixel = max(width / columns, height / rows)
        self.node.SetFieldOfView(mm_per_pixel * columns, mm_per_pixel * rows, self.node.GetFieldOfView()[2])

    def grab(self, path: Path | None = None) -> NDArray[np.uint8]:
        """Render the view; see `_View.grab`."""
        connection = self.logic.GetImageDataConnection()
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._image.SetVisibility(connection is not None)
        return super().grab(path)


class ThreeDView(_View):
    """3D view.

    Attributes:
        logic: View logic.
        node: View node.
    """

    def __init__(self, host: OffscreenHost, name: str = "1", size: tuple[int, int] = (512, 512)) -> None:
        super().__init__(host, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _THREE_D_MANAGERS, size)
        self.logic = slicer.vtkMRMLViewLogic()
        self._join(host, host.app_logic.GetViewLogics())
        self.node = self.logic.AddViewNode(name)
        self.node.SetMappedInLayout(1)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.managers.SetMRMLDisplayableNode(self.node)

    def _prepare_renderer(self) -> None:
        self.renderer.SetUseDepthPeeling(True)  # translucent surfaces inside each other

    def look_from(self, direction: int) -> None:
        """Point the camera at all visible objects.

        Args:
            direction: Direction of vtkMRMLCameraNode, such as ``Anterior``.
        """
        self.window.Render()  # creates the actors, whose bounds the camera needs
        camera = self.managers.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()
        camera.RotateTo(direction)
        self.renderer.ResetCamera()
        self.renderer.ResetCameraClippingRange()
