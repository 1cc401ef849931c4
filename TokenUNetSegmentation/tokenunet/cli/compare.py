"""``tokenunet compare``: two results of one patient, such as those of two models."""

import argparse
import json
from pathlib import Path

from tokenunet.core.events import OnEvent
from tokenunet.io.files import staging_folder
from tokenunet.io.overlay_files import write_overlays


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("compare", help="compare two results of one patient")
    parser.add_argument("first", type=Path, metavar="RESULT_A", help="folder of a result")
    parser.add_argument("second", type=Path, metavar="RESULT_B", help="folder of another result of the same patient")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for comparison.json and the map of differences"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Compare two results."""
    from tokenunet.evaluation.compare import compare_results

    comparison = compare_results(options.first, options.second)
    text = json.dumps(comparison.to_json(), indent=1)
    if options.output is not None:
        with staging_folder(options.output) as staging:
            write_overlays([comparison.difference], staging)
            (staging / "comparison.json").write_text(text + "\n", encoding="utf-8")
    print(text if options.json else comparison.to_text())
