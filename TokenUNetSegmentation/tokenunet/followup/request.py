"""Follow-up requests, and their equivalent options of ``tokenunet follow-up``.

Nothing here imports PyTorch, so that the Slicer module can create requests before it is installed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.option_parser import parse_options

REPORT, PAGE, PDF = "follow_up.json", "follow_up.html", "follow_up.pdf"
"""Files in the folder of the results."""


@dataclass(frozen=True)
class FollowUpRequest:
    """Request to compare the time points of one patient.

    Attributes:
        patient: Folder of the patient, with scans or results of two or more time points.
        output: Folder for the results.
        order: Names of the time points to compare, the earliest first; empty for all of them, by date.
        model: Name or path of a bundle, for time points that are scans.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        force: Whether to replace the results of an earlier run.

    Example:
        >>> request = FollowUpRequest(Path("patient"), Path("out"), order=("week-0", "week-12"))
        >>> request.to_arguments()
        ['patient', '--output', 'out', '--order', 'week-0', 'week-12']
        >>> FollowUpRequest.from_arguments(request.to_arguments()) == request
        True
    """

    patient: Path
    output: Path
    order: tuple[str, ...] = ()
    model: Path | str = DEFAULT_MODEL
    device: str = "auto"
    force: bool = False

    def to_arguments(self) -> list[str]:
        """Return the equivalent arguments of `tokenunet follow-up`, without default values."""
        words = [str(self.patient), "--output", str(self.output)]
        if self.model != DEFAULT_MODEL:
            words += ["--model", str(self.model)]
        if self.device != "auto":
            words += ["--device", self.device]
        if self.order:
            words += ["--order", *self.order]
        return words + (["--force"] if self.force else [])

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> "FollowUpRequest":
        """Return the request of arguments of `tokenunet follow-up`.

        Raises:
            UsageError: If an option is unknown or has no value.
        """
        return cls.from_options(parse_options("tokenunet follow-up", add_arguments, arguments))

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "FollowUpRequest":
        """Return the request of parsed options.

        Args:
            options: Result of a parser with `add_arguments`.
        """
        return cls(options.patient, options.output, tuple(options.order), options.model, options.device, options.force)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `FollowUpRequest.from_options` reads."""
    parser.add_argument(
        "patient",
        type=Path,
        metavar="PATIENT_FOLDER",
        help="folder of one patient: DICOM studies of several days, or one folder per time point with scans or results",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the results")
    parser.add_argument(
        "--order",
        nargs="+",
        default=[],
        metavar="NAME",
        help="time points to compare, the earliest first (default: all of them, by date)",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of a model bundle (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier run")
