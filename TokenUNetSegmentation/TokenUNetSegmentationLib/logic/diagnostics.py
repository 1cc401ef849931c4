"""Diagnostics for support requests: versions, settings and log, without patient data."""

import platform
import shlex
from collections.abc import Sequence
from pathlib import Path

import slicer
import tokenunet
import vtk
from packaging.requirements import Requirement

from TokenUNetSegmentationLib.logic.run import SegmentationRun
from TokenUNetSegmentationLib.logic.stages import stage_title
from TokenUNetSegmentationLib.process.dependencies import installed_version

_PACKAGES = ("numpy", "SimpleITK")


def diagnostics(run: SegmentationRun | None, message: str, requirements: Sequence[Requirement]) -> str:
    """Return a description of the installation and the last run, in English for whoever receives it.

    Volumes appear by sequence and size, never by name.

    Args:
        run: Last run; None if there was none.
        message: Message that the panel displays.
        requirements: Packages whose versions are listed.
    """
    packages = (*(requirement.name for requirement in requirements), *_PACKAGES)
    lines = [
        f"Token-UNet {tokenunet.__version__}",
        f"{slicer.app.applicationName} {slicer.app.applicationVersion} (revision {slicer.app.revision})",
        f"{platform.platform()}, Python {platform.python_version()}",
        ", ".join(f"{package} {installed_version(package) or 'not installed'}" for package in packages)
        + f", vtk {vtk.vtkVersion.GetVTKVersion()}",  # pip does not know about Slicer's own VTK
    ]
    if run is None:
        return "\n".join([*lines, "No run yet."])
    request = run.request
    lines.append("tokenunet segment " + shlex.join(request.on_files(Path()).to_arguments()))
    for sequence, volume in request.inputs.items():
        image = volume.GetImageData()
        size = image.GetDimensions() if image else None
        lines.append(f"{sequence}: {size} voxels of {tuple(round(s, 3) for s in volume.GetSpacing())} mm")
    lines += [
        f"last stage: {stage_title(run.progress.stage)}, {run.progress.fraction:.0%}",
        f"message: {message}",
        *run.warnings,
    ]
    return "\n".join([*lines, "", "Log:", run.log])
