"""Warnings about the input that do not stop a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A warning about the input.

    Attributes:
        code: Stable identifier for programs.
        message: One or two sentences for people.
    """

    code: str
    message: str
