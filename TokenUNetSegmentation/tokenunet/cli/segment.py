"""Command ``tokenunet segment``: segmentation of one patient or, with ``--batch``, of many."""

import argparse
from typing import Any

from tokenunet.cli import batch
from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent
from tokenunet.core.regions import REGION_TITLES
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import SegmentationRequest, add_arguments


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``segment`` command."""
    parser = commands.add_parser(
        "segment",
        help="segment the tumor of one patient, or of many",
        description="Segment the tumor of one patient, or with --batch of many, in skull-stripped or raw MRI.",
    )
    add_arguments(parser)
    batch.add_arguments(parser)
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Segment one patient, or many."""
    if options.dicom_seg or options.dicom_out:
        with extra("dicom"):
            import highdicom  # noqa: F401  missing packages are reported before the patient is segmented
    request = SegmentationRequest.from_options(options)
    if options.batch is not None:
        batch.run(options, request, on_event)
        return
    batch.refuse_without_batch(options)
    report = segment(request, on_event)
    if options.progress != "json":
        for region, title in REGION_TITLES.items():
            if region in report["volumes_ml"]:
                print(f"{title:<17} {report['volumes_ml'][region]:8.2f} ml{_range_text(report, region)}")
        print(f"Results are in {options.output}.")


def _range_text(report: dict[str, Any], region: str) -> str:
    if region not in report["volumes_range_ml"]:
        return ""
    low, high = report["volumes_range_ml"][region]
    return f" ({low:.2f} to {high:.2f} over {report['model']['members']} folds)"
