"""Preparation of a patient's scans for a network: common grid, orientation, brain mask and normalization.

    study -> on one grid -> extract_brain, unless stripped -> normalize -> adjusted -> Prepared

Scans that already share a grid with the model's spacing are only flipped and permuted, never resampled. Scans that are
not aligned with each other yet need the alignments of `tokenunet.preprocessing.align`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.core.background import background_value, foreground
from tokenunet.core.errors import GridMismatchError, UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SequenceName
from tokenunet.preprocessing.coil_profile import COIL_PROFILE, without_coil_profile
from tokenunet.preprocessing.common_grid import OnGrid, on_common_grid
from tokenunet.preprocessing.least_spread import with_least_spread
from tokenunet.preprocessing.outliers import without_outliers
from tokenunet.preprocessing.register import Alignment
from tokenunet.preprocessing.skull_stripping import check_brain, check_field_of_view, extract_brain, is_stripped
from tokenunet.preprocessing.stripped_brain import agreed_brain
from tokenunet.study.scans import Study

_LEAST_COVERAGE = 0.5
"""Share of the brain that each scan must show; with less, the scans show different places."""
_RIPPLE = 1e-3
"""Largest distance of background from its value, as a fraction of the largest: resampling ripples there."""
_MOST_OUTSIDE = 0.1
"""Volume that a scan shows outside the brain, as a fraction of the brain, up to which it shows the brain alone."""
_WHOLE_COVERAGE = 0.98
"""Share of the brain from which on no warning is given; a scan may leave out the lowest part of the brain stem."""


@dataclass(frozen=True)
class Prepared:
    """One patient in the model's space, with what the inverse transform needs.

    Attributes:
        tensor: Input of the network, (C, D, H, W), float32. If the model takes normalized intensities, each channel
            has zero mean and unit variance inside the brain and is 0 outside. A missing channel is 0 everywhere.
        brain: Brain mask, (D, H, W).
        grid: Grid of the tensor.
        reference_grid: Native grid of the reference, which the results are written on.
        other_grids: Native grid by sequence, for those that differ from the reference's or had to be aligned to it.
        findings: Findings for the user.
        alignments: Rigid alignment by sequence, for those that had to be aligned.
        brain_extracted: Whether the brain mask was extracted from scans of the whole head.
    """

    tensor: Tensor
    brain: NDArray[np.bool_]
    grid: Grid
    reference_grid: Grid
    other_grids: dict[SequenceName, Grid]
    findings: tuple[Finding, ...]
    alignments: Mapping[SequenceName, Alignment] = field(default_factory=dict)
    brain_extracted: bool = False


def prepare(study: Study, space: ModelSpace, alignments: Mapping[SequenceName, Alignment] | None = None) -> Prepared:
    """Bring a study into a model's space.

    Args:
        study: Scans of the model's channels; those that are missing become 0.
        space: Space of the model.
        alignments: Rigid alignment by sequence; scans without one are trusted to be aligned with the reference.

    Raises:
        GridMismatchError: If a scan shows less than half of the brain.
        UnusableImageError: If no brain is found, or a scan is constant inside the brain.
    """
    alignments = alignments or {}
    study, outliers = without_outliers(study)
    stripped = [sequence for sequence, scan in study.scans.items() if is_stripped(scan.image)]
    grid, scans = on_common_grid(study, space, alignments, stripped)
    findings: tuple[Finding, ...]
    if stripped:
        shown = {s: foreground(scans[s].values) if (b := scans[s].brain) is None else b for s in stripped}
        reached = {s: reach for s in stripped if (reach := scans[s].reached) is not None}
        agreed = agreed_brain(shown, {s: study.scans[s].source for s in stripped}, grid, reached)
        brain = agreed.brain
        for sequence, seen in agreed.seen.items():
            scans[sequence] = replace(scans[sequence], seen=scans[sequence].seen & seen)
        findings = _some_stripped(scans, stripped, brain) + agreed.findings
    else:
        extracted = extract_brain([grid.image(scan.values) for scan in scans.values() if scan.seen.any()])
        brain = sitk.GetArrayFromImage(extracted).astype(bool)
        findings = (_HEAD_FOUND, *check_brain(extracted))
    if not brain.any():
        raise UnusableImageError(
            f"No brain was found in {study.scans[study.reference].source}.", "Check that it is a scan of the head."
        )
    findings += check_field_of_view(grid.image(brain.astype(np.uint8)))
    findings += tuple(_partly_seen(study, brain, scans))
    findings += tuple(_not_placed(study))
    findings += outliers
    findings += tuple(finding for scan in study.scans.values() for finding in scan.findings)
    channels = [
        _network_input(scans[s], brain, s in stripped, study.scans[s].source, space)
        if s in scans
        else torch.zeros(brain.shape)
        for s in space.channels
    ]
    tensor, evened = adjusted(torch.stack(channels), brain, space)
    findings += evened
    reference_grid = Grid.of(study.scans[study.reference].image)
    native = {sequence: Grid.of(scan.image) for sequence, scan in study.scans.items()}
    return Prepared(
        tensor=tensor,
        brain=brain,
        grid=grid,
        reference_grid=reference_grid,
        other_grids={s: g for s, g in native.items() if s in alignments or not g.same_as(reference_grid)},
        alignments=alignments,
        brain_extracted=not stripped,
        findings=findings,
    )


def adjusted(tensor: Tensor, brain: NDArray[np.bool_], space: ModelSpace) -> tuple[Tensor, tuple[Finding, ...]]:
    """Return what a network receives of normalized scans: without a coil profile, and with their usual spread.

    Args:
        tensor: Z-scores (C, D, H, W); missing channels are 0 everywhere.
        brain: Brain mask (D, H, W).
        space: Space of the model.

    Returns:
        Input of the network, and a warning if a profile was evened out.
    """
    findings: tuple[Finding, ...] = ()
    limit = space.coil_profile_limit
    if limit is not None and (evened := without_coil_profile(tensor, brain, limit)) is not None:
        tensor, findings = evened, (COIL_PROFILE,)
    if space.least_spread:
        tensor = with_least_spread(tensor, brain, [space.least_spread.get(name, 0.0) for name in space.channels])
    return tensor, findings


_HEAD_FOUND = Finding(
    "not_skull_stripped",
    "The scans are not skull-stripped, so the brain was cut out first; check that none of it is missing.",
)


def _some_stripped(
    scans: Mapping[SequenceName, OnGrid], stripped: Sequence[SequenceName], brain: NDArray[np.bool_]
) -> tuple[Finding, ...]:
    """Return a warning if some of the scans show more than the brain.

    A skull-stripped scan whose field of view ends inside the brain may not be among `stripped`.
    """
    whole = []
    for sequence in (s for s in scans if s not in stripped):
        scan = scans[sequence]
        distance = np.abs(scan.values - background_value(scan.values))
        outside = (distance > _RIPPLE * distance.max()) & scan.seen & ~brain
        if outside.sum() > _MOST_OUTSIDE * brain.sum():
            whole.append(sequence)
    if not whole:
        return ()
    text = (
        f"{' and '.join(stripped)} show the brain alone, {' and '.join(whole)} the whole head: the brain is where the "
        "former show it. Check that none of it is missing."
    )
    return (Finding("partly_skull_stripped", text),)


def _partly_seen(study: Study, brain: NDArray[np.bool_], scans: Mapping[SequenceName, OnGrid]) -> Iterator[Finding]:
    """Yield a warning for each scan that leaves out a part of the brain.

    Raises:
        GridMismatchError: If a scan shows less than half of the brain.
    """
    for sequence, scan in scans.items():
        share = float(scan.seen[brain].mean())
        source = study.scans[sequence].source
        if share < _LEAST_COVERAGE:
            raise GridMismatchError(
                f"{source} ({sequence}) shows only {share:.0%} of the brain that "
                f"{study.scans[study.reference].source} ({study.reference}) shows.",
                "Choose scans of one session.",
            )
        if share < _WHOLE_COVERAGE:
            text = (
                f"{source} ({sequence}) shows only {share:.0%} of the brain; what it leaves out counts as average, and "
                "the result is less sure there."
            )
            yield Finding("partial_coverage", text)


def _not_placed(study: Study) -> Iterator[Finding]:
    """Yield a warning about scans whose files do not state their orientation."""
    names = [f"{scan.source} ({sequence})" for sequence, scan in study.scans.items() if not scan.placed]
    if names:
        text = (
            f"{' and '.join(names)} do not state their orientation (NIfTI without qform and sform): which side is "
            "left, and which way is up, are guesses. Convert them from DICOM again if the result looks wrong."
        )
        yield Finding("no_orientation", text)


def _network_input(scan: OnGrid, brain: NDArray[np.bool_], stripped: bool, source: str, space: ModelSpace) -> Tensor:
    """Return a channel of the network's input (D, H, W); see `ModelSpace.intensities`."""
    if space.intensities == "normalized":
        return normalize(scan.values, brain & scan.seen, source)
    if space.intensities == "brain" and not stripped:
        return torch.from_numpy(np.where(brain, scan.values, np.float32(0)))
    return torch.from_numpy(scan.values)


def normalize(array: NDArray[np.float32], brain: NDArray[np.bool_], source: str) -> Tensor:
    """Normalize to zero mean and unit variance inside the brain, and to 0 outside.

    Args:
        array: Intensities, (D, H, W).
        brain: Brain mask, as far as the scan shows the brain, (D, H, W).
        source: Where the scan came from, for messages.

    Raises:
        UnusableImageError: If the scan is constant inside the brain.
    """
    values = torch.from_numpy(array)
    inside = torch.from_numpy(brain)
    std, mean = torch.std_mean(values[inside])
    if not std > 0:
        raise UnusableImageError(f"{source} is constant inside the brain.", "Choose another scan.")
    return torch.where(inside, (values - mean) / std, 0.0)
