"""``tokenunet segment``: four scans in, labels, segmentation and overlays out; with ``--batch`` many times over."""

import argparse
from pathlib import Path
from typing import Any

from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.cli import batch
from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent
from tokenunet.core.regions import ET_LABEL, ET_LABEL_BRATS2023, REGION_TITLES
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.inference import InferenceOptions, SegmentationRequest, segment


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("segment", help="segment one patient, or many")
    for sequence in SEQUENCES:
        parser.add_argument(f"--{sequence.lower()}", type=Path, metavar="FILE", help=f"the {sequence} image")
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of one patient: DICOM or images")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the results")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of a model bundle (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--mode",
        choices=("single_pass", "sliding_window"),
        default="single_pass",
        help="the whole brain at once, or overlapping windows (default: %(default)s)",
    )
    parser.add_argument("--overlap", type=float, default=0.5, help="of windows, 0 to below 1 (default: %(default)s)")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument(
        "--attention-maps", "--masks", action="store_true", help="also write the TokenLearner and TokenFuser maps"
    )
    parser.add_argument(
        "--reference", choices=SEQUENCES, help="whose grid the results lie on (default: T1ce, or T1 where much finer)"
    )
    parser.add_argument(
        "--labels",
        choices=("brats", "brats2023"),
        default="brats",
        help=f"value of enhancing tumor: {ET_LABEL}, or {ET_LABEL_BRATS2023} as in BraTS since 2023",
    )
    parser.add_argument(
        "--dicom-seg", action="store_true", help="also write a DICOM SEG that refers to the reference's series"
    )
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier run")
    batch.add_arguments(parser)
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Segment one patient, or many."""
    if options.dicom_seg:
        with extra("dicom"):
            pass
    if options.batch is not None:
        batch.run(options, _request(options, {}), on_event)
        return
    batch.refuse_without_batch(options)
    report = segment(_request(options, _given(options)), on_event)
    if options.progress != "json":
        for region, title in REGION_TITLES.items():
            print(f"{title:<17} {report['volumes_ml'][region]:8.2f} ml{_range_text(report, region)}")
        print(f"Results are in {options.output}.")


def _request(options: argparse.Namespace, inputs: dict[SequenceName, Path]) -> SegmentationRequest:
    return SegmentationRequest(
        inputs=inputs,
        folder=options.input,
        output=options.output,
        model=find_model(options.model),
        reference=options.reference,
        options=InferenceOptions(
            options.device, options.mode, options.precision, options.overlap, options.attention_maps
        ),
        et_label=ET_LABEL if options.labels == "brats" else ET_LABEL_BRATS2023,
        dicom_seg=options.dicom_seg,
        force=options.force,
    )


def _range_text(report: dict[str, Any], region: str) -> str:
    if region not in report["volumes_range_ml"]:
        return ""
    low, high = report["volumes_range_ml"][region]
    return f" ({low:.2f} to {high:.2f} over {report['model']['members']} folds)"


def _given(options: argparse.Namespace) -> dict[SequenceName, Path]:
    """The files named one by one, which overrule what is found in a folder."""
    given = {s: getattr(options, s.lower()) for s in SEQUENCES if getattr(options, s.lower()) is not None}
    missing = [s for s in SEQUENCES if s not in given]
    if missing and options.input is None:
        raise UsageError(
            f"No file was given for {', '.join(missing)}.", "Use --t1, --t1ce, --t2 and --flair, or --input DIR."
        )
    return given
