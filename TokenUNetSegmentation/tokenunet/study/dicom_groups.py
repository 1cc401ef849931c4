"""Functional groups of enhanced DICOM files, read by pydicom, as SimpleITK does not report them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_AGENTS = "ContrastBolusAgentSequence"
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, struct.error)
"""What pydicom raises for damaged headers."""


@dataclass(frozen=True)
class FunctionalGroups:
    """Functional groups of one file.

    Attributes:
        shared: Groups that all frames share.
        frames: Groups of each frame.
        contrast_agent: Name of the contrast agent; empty if there is none.
    """

    shared: "Sequence[Dataset]" = ()
    frames: "Sequence[Dataset]" = ()
    contrast_agent: str = ""

    @classmethod
    def read(cls, file: Path) -> "FunctionalGroups":
        """Read the groups of a file; there are none if pydicom cannot read it."""
        from pydicom import dcmread

        try:
            whole = dcmread(file, stop_before_pixels=True, force=True, specific_tags=[_SHARED, _PER_FRAME, _AGENTS])
            agents = [str(item.get("ContrastBolusAgent", "")) for item in whole.get(_AGENTS) or ()]
            return cls(whole.get(_SHARED) or (), whole.get(_PER_FRAME) or (), next(filter(None, agents), ""))
        except _UNREADABLE:
            return cls()

    def numbers(self, sequence: str, keyword: str) -> list[tuple[float, ...]]:
        """Return an attribute's numbers in each group that has the sequence; an empty tuple for other values.

        Args:
            sequence: Keyword of the sequence.
            keyword: Keyword of the attribute in it.
        """
        found: list[tuple[float, ...]] = []
        for group in (*self.shared, *self.frames):
            try:
                values = [
                    tuple(float(number) for number in np.atleast_1d(v)) for v in _values(group, sequence, keyword)
                ]
            except _UNREADABLE:
                values = [()]
            found += [value if np.isfinite(value).all() else () for value in values]
        return found

    def first(self, sequence: str, keyword: str) -> float | None:
        """Return the first number of an attribute in any group; None if there is none or it is 0."""
        return next((value[0] or None for value in self.numbers(sequence, keyword) if value), None)

    def distinctions(self) -> tuple[dict[str, str], ...]:
        """Return for each frame the properties that images of the same place may differ in, as readable values."""
        return tuple(
            {
                "echo time": f"{_text(group, 'MREchoSequence', 'EffectiveEchoTime')} ms",
                "image type": _text(group, "MRImageFrameTypeSequence", "FrameType"),
                "b-value": _text(group, "MRDiffusionSequence", "DiffusionBValue"),
                "inversion time": f"{_text(group, 'MRModifierSequence', 'InversionTimes')} ms",
                "temporal position": _text(group, "FrameContentSequence", "TemporalPositionIndex"),
                "acquisition": _text(group, "FrameContentSequence", "FrameAcquisitionNumber"),
            }
            for group in self.frames
        )


def _values(group: "Dataset", sequence: str, keyword: str) -> list[Any]:
    values = [item.get(keyword) for item in group.get(sequence) or ()]
    return [value for value in values if value is not None]


def _text(group: "Dataset", sequence: str, keyword: str) -> str:
    """Return an attribute of a group as text, several values with slashes; empty if it is missing or damaged."""
    try:
        return "/".join(str(part) for value in _values(group, sequence, keyword) for part in np.atleast_1d(value))
    except _UNREADABLE:
        return ""
