"""What surrounds the brain in a skull-stripped scan."""

import numpy as np
from numpy.typing import NDArray


def background_value(array: NDArray[np.floating]) -> float:
    """The value that a skull-stripped scan (D, H, W) has outside the brain: the median of its six faces.

    Mostly 0; scans that someone has normalised or shifted before have another.
    """
    faces = [array[[0, -1]], array[:, [0, -1]], array[:, :, [0, -1]]]
    return float(np.median(np.concatenate([face.ravel() for face in faces])))
