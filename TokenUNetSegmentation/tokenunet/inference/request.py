"""Segmentation requests, and their equivalent options of ``tokenunet segment``.

Nothing here imports PyTorch, so that the Slicer module can create requests before it is installed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.errors import UsageError
from tokenunet.core.option_parser import parse_options
from tokenunet.core.regions import ET_LABEL, ET_LABEL_BRATS2023
from tokenunet.core.sequences import ALIASES, SEQUENCES, SequenceName

Mode = Literal["single_pass", "sliding_window"]
PrecisionOption = Literal["auto", "fp32", "bf16", "fp16"]
_LEFT_OUT = "none"
_ET_LABELS = {"brats": ET_LABEL, "brats2023": ET_LABEL_BRATS2023}


@dataclass(frozen=True)
class InferenceOptions:
    """Options of the inference.

    Attributes:
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        mode: `single_pass` processes the whole brain at once, `sliding_window` the bundle's patch size at a time.
        precision: `auto` chooses half precision if the hardware supports it natively.
        overlap: Overlap of neighboring windows, as a fraction of their size, below 1.
        attention_maps: Whether to return the attention maps, too.
        fast: Whether to leave out the second pass that some models make, and the limit of the core's reach.
    """

    device: str = "auto"
    mode: Mode = "single_pass"
    precision: PrecisionOption = "auto"
    overlap: float = 0.5
    attention_maps: bool = False
    fast: bool = False


@dataclass(frozen=True)
class SegmentationRequest:
    """Request to segment one patient.

    Attributes:
        inputs: Image file, or any file or the folder of a DICOM series, by channel.
        output: Folder for the results.
        model: Name or path of a bundle.
        folder: Folder in which the channels missing from `inputs` are searched.
        reference: Sequence on whose grid the results are; None chooses T1ce, or T1 if that is much finer.
        options: Options of the inference.
        et_label: Value of enhancing tumor in the label images, 4 or 3.
        dicom_seg: Whether to write a DICOM segmentation object of the reference's series; needs the extra `dicom`.
        dicom_out: Folder for segmentation, measurements and key slices as DICOM; needs the extra `dicom`.
        force: Whether to replace the results of an earlier run.
        left_out: Channels that are missing, and are not searched in `folder`.

    Example:
        >>> request = SegmentationRequest({"T1ce": Path("t1ce.nii")}, Path("out"), left_out=("T1",))
        >>> request.to_arguments()
        ['--t1ce', 't1ce.nii', '--t1', 'none', '--output', 'out', '--model', 'default']
        >>> SegmentationRequest.from_arguments(request.to_arguments()) == request
        True
    """

    inputs: dict[SequenceName, Path]
    output: Path
    model: Path | str = DEFAULT_MODEL
    folder: Path | None = None
    reference: SequenceName | None = None
    options: InferenceOptions = field(default_factory=InferenceOptions)
    et_label: int = ET_LABEL
    dicom_seg: bool = False
    dicom_out: Path | None = None
    force: bool = False
    left_out: tuple[SequenceName, ...] = ()

    def to_arguments(self) -> list[str]:
        """Return the equivalent options of `tokenunet segment`, without default values."""
        words = [word for name, path in self.inputs.items() for word in scan_arguments(name, str(path))]
        words += [word for name in self.left_out for word in scan_arguments(name, _LEFT_OUT)]
        if self.folder is not None:
            words += ["--input", str(self.folder)]
        words += ["--output", str(self.output), "--model", str(self.model)]
        if self.reference is not None:
            words += ["--reference", self.reference]
        default = InferenceOptions()
        for name in ("device", "mode", "precision", "overlap"):
            if getattr(self.options, name) != getattr(default, name):
                words += [f"--{name}", str(getattr(self.options, name))]
        if self.et_label != ET_LABEL:
            words += ["--labels", next(name for name, value in _ET_LABELS.items() if value == self.et_label)]
        if self.dicom_out is not None:
            words += ["--dicom-out", str(self.dicom_out)]
        flags = {
            "--attention-maps": self.options.attention_maps,
            "--fast": self.options.fast,
            "--dicom-seg": self.dicom_seg,
            "--force": self.force,
        }
        return words + [flag for flag, is_set in flags.items() if is_set]

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> "SegmentationRequest":
        """Return the request of options of `tokenunet segment`.

        Args:
            arguments: Words after `tokenunet segment`, without options for batches and progress.

        Raises:
            UsageError: If an option is unknown or has no value, or a channel is given twice.
        """
        return cls.from_options(parse_options("tokenunet segment", add_arguments, arguments))

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "SegmentationRequest":
        """Return the request of parsed options.

        Args:
            options: Result of a parser with `add_arguments`.

        Raises:
            UsageError: If a channel is given twice.
        """
        given: dict[SequenceName, str] = {}
        scans = [(s, getattr(options, s.lower())) for s in SEQUENCES if getattr(options, s.lower()) is not None]
        for name, place in scans + options.scan:
            if name in given:
                raise UsageError(f"{name} was given twice: {given[name]} and {place}.", "Leave out one of them.")
            given[name] = place
        return cls(
            inputs={name: Path(place) for name, place in given.items() if place != _LEFT_OUT},
            output=options.output,
            model=options.model,
            folder=options.input,
            reference=options.reference,
            options=InferenceOptions(
                options.device,
                options.mode,
                options.precision,
                options.overlap,
                options.attention_maps,
                options.fast,
            ),
            et_label=_ET_LABELS[options.labels],
            dicom_seg=options.dicom_seg,
            dicom_out=options.dicom_out,
            force=options.force,
            left_out=tuple(name for name, place in given.items() if place == _LEFT_OUT),
        )


def scan_arguments(name: SequenceName, place: str) -> list[str]:
    """Return the option for the file of a channel, or "none"."""
    return [f"--{name.lower()}", place] if name in SEQUENCES else ["--scan", f"{name}={place}"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `SegmentationRequest.from_options` reads."""
    for sequence in SEQUENCES:
        parser.add_argument(f"--{sequence.lower()}", metavar="FILE", help=f"{sequence} image, or none if it is missing")
    parser.add_argument(
        "--scan",
        action="append",
        default=[],
        type=_named_scan,
        metavar="NAME=FILE",
        help="image of any channel of the model, or none; may be repeated",
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of one patient: DICOM or images")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the results")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of a model bundle (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--mode",
        choices=get_args(Mode),
        default="single_pass",
        help="whole brain in a single pass, or overlapping windows (default: %(default)s)",
    )
    parser.add_argument("--overlap", type=float, default=0.5, help="overlap of windows, below 1 (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=get_args(PrecisionOption),
        default="auto",
        help="precision of the computation; auto is half precision if the hardware supports it (default: %(default)s)",
    )
    parser.add_argument(
        "--attention-maps", "--masks", action="store_true", help="also write the TokenLearner and TokenFuser maps"
    )
    parser.add_argument("--fast", action="store_true", help="leave out what some models do after a first pass")
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="sequence whose grid the results have (default: T1ce, or T1 if that is much finer)",
    )
    parser.add_argument(
        "--labels",
        choices=tuple(_ET_LABELS),
        default="brats",
        help=f"label of enhancing tumor: {ET_LABEL} (brats), or {ET_LABEL_BRATS2023} as in BraTS since 2023 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--dicom-seg",
        action="store_true",
        help="also write a DICOM segmentation that refers to the series of the reference",
    )
    parser.add_argument(
        "--dicom-out",
        type=Path,
        metavar="DIR",
        help="folder for segmentation, measurements and key slices as DICOM, in the study of the reference",
    )
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier run")


def _named_scan(text: str) -> tuple[SequenceName, str]:
    name, separator, place = text.partition("=")
    if not name or not separator or not place:
        raise argparse.ArgumentTypeError(f"{text} is not of the form NAME=FILE")
    return next((s for s in SEQUENCES if name.lower() in ALIASES[s]), name), place
