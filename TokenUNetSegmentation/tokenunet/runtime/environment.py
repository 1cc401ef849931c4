"""Versions of this program and of the packages that its results depend on."""

import platform
from importlib import metadata

import numpy as np
import SimpleITK as sitk
import torch

import tokenunet


def versions() -> dict[str, str]:
    """Return the versions of this program and of the packages that its results depend on, for run reports."""
    return {
        "tokenunet": tokenunet.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": metadata.version("monai"),
        "numpy": np.__version__,
        "SimpleITK": sitk.Version.VersionString(),
        "platform": platform.platform(),
    }
