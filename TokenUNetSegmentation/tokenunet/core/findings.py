"""What the user should know about the input, though the run goes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A warning about the input.

    Attributes:
        code: stable name for programs.
        message: one or two sentences for people.
    """

    code: str
    message: str
