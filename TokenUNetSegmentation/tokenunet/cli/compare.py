"""``tokenunet compare``: two results of one patient, such as those of two models."""

import argparse
import json
from pathlib import Path

from tokenunet.core.events import OnEvent, WarningEvent
from tokenunet.core.overlays import OVERLAYS
from tokenunet.io.files import staging_folder
from tokenunet.io.overlay_files import write_overlays

_REPORT = "comparison.json"
_FILES = (_REPORT, f"{OVERLAYS}/difference/*.nii.gz")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    text = "compare two results of one patient"
    parser = commands.add_parser("compare", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("first", type=Path, metavar="RESULT_A", help="folder of a result")
    parser.add_argument("second", type=Path, metavar="RESULT_B", help="folder of another result of the same patient")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for comparison.json and the map of differences"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier comparison")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Compare two results."""
    from tokenunet.evaluation.compare import compare_results, different_scans
    from tokenunet.inference.output import check_output

    if options.output is not None:
        check_output(options.output, options.force, _FILES)
    comparison = compare_results(options.first, options.second)
    if (finding := different_scans(options.first, options.second)) is not None:
        on_event(WarningEvent(finding.code, finding.message))
    text = json.dumps(comparison.to_json(), indent=1)
    if options.output is not None:
        with staging_folder(options.output, _FILES) as staging:
            write_overlays([comparison.difference], staging)
            (staging / _REPORT).write_text(text + "\n", encoding="utf-8")
    print(text if options.json else comparison.to_text())
