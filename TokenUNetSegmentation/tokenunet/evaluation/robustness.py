"""Perturbations of scans, against which a model should be robust."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from tokenunet.core.background import foreground
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SequenceName
from tokenunet.preprocessing import Prepared
from tokenunet.study.scans import Scan, Study

_NOISE = 0.5
"""Standard deviation, relative to that of the scan inside the brain."""
_SLICE_MM = 5.0
_THICK: SequenceName = "FLAIR"
"""The sequence that is most often measured in thick slices."""
_BIAS = 3.0
"""Brightness of the last row relative to the first."""
_ORIENTATION = "SAR"
"""Axes permuted and flipped from the synthetic patients' LPS."""


@dataclass(frozen=True)
class Condition:
    """Perturbation of a patient.

    Attributes:
        name: Stable identifier for programs.
        title: Name for people.
        change_study: Function of the scans and a seed.
        change_prepared: Function of the prepared patient.
    """

    name: str
    title: str
    change_study: Callable[[Study, int], Study] = lambda study, seed: study
    change_prepared: Callable[[Prepared], Prepared] = lambda prepared: prepared


def conditions(space: ModelSpace) -> Sequence[Condition]:
    """Return all perturbations for a model with an input space."""
    return (
        Condition("noise", "noise of half the brain's standard deviation", _with_noise),
        Condition("thick_slices", f"{_THICK} in slices of {_SLICE_MM:g} mm", _with_thick_slices),
        Condition("bias_field", f"{_BIAS:g} times brighter from front to back", _with_bias_field),
        Condition("orientation", "axes permuted and flipped", _turned),
        *(
            Condition(
                f"without_{sequence}",
                f"without {sequence}",
                change_prepared=lambda prepared, channel=channel: without_channel(prepared, channel),  # type: ignore[misc]
            )
            for channel, sequence in enumerate(space.channels)
        ),
    )


def without_channel(prepared: Prepared, channel: int) -> Prepared:
    """Remove one sequence: its channel is set to 0, the mean of the brain after normalization."""
    tensor = prepared.tensor.clone()
    tensor[channel] = 0
    return replace(prepared, tensor=tensor)


def _with_noise(study: Study, seed: int) -> Study:
    """Add independent white noise inside the brain to each scan."""
    generator = torch.Generator().manual_seed(seed)

    def noisy(values: NDArray[np.float32]) -> NDArray[np.float32]:
        brain = foreground(values)
        noise = torch.randn(values.shape, generator=generator).numpy()
        return values + (_NOISE * values[brain].std()) * noise * brain

    return _changed(study, lambda scan: Grid.of(scan.image).image(noisy(sitk.GetArrayFromImage(scan.image))))


def _with_thick_slices(study: Study, seed: int) -> Study:
    """Average one scan along z on a grid with thick slices, which `prepare` resamples."""
    scan = study.scans[_THICK]
    grid = Grid.of(scan.image)
    x, y, z = grid.spacing
    averaged = sitk.BoxMean(scan.image, [0, 0, max(1, round((_SLICE_MM / z - 1) / 2))])
    thick = grid.with_spacing((x, y, _SLICE_MM)).resample(averaged)
    return replace(study, scans={**study.scans, _THICK: replace(scan, image=thick)})


def _with_bias_field(study: Study, seed: int) -> Study:
    def biased(scan: Scan) -> sitk.Image:
        rows = scan.image.GetSize()[1]
        factor = _BIAS ** np.linspace(-0.5, 0.5, rows, dtype=np.float32)
        return Grid.of(scan.image).image(sitk.GetArrayFromImage(scan.image) * factor[:, None])

    return _changed(study, biased)


def _turned(study: Study, seed: int) -> Study:
    return _changed(study, lambda scan: sitk.DICOMOrient(scan.image, _ORIENTATION))


def _changed(study: Study, change: Callable[[Scan], sitk.Image]) -> Study:
    return replace(study, scans={name: replace(scan, image=change(scan)) for name, scan in study.scans.items()})
