"""Command ``tokenunet report``: report of a segmented patient as HTML and PDF, and its results as DICOM."""

import argparse
import sys
from pathlib import Path

from tokenunet.cli.dicom import check_objects, write_objects
from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent, ResultEvent
from tokenunet.io.files import locked_folder, staging_folder
from tokenunet.io.result_files import REPORT_FILES, REPORT_PATIENT, read_report, write_report


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``report`` command."""
    text = "write the report of a segmented patient as HTML and PDF"
    parser = commands.add_parser("report", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("result", type=Path, metavar="RESULT", help="output folder of tokenunet segment")
    parser.add_argument(
        "--scan", type=Path, metavar="FILE", help="reference scan, or folder of its series (default: where it was)"
    )
    parser.add_argument(
        "--patient", metavar="NAME", help="name in the report (default: that of the report before, or of the folder)"
    )
    parser.add_argument(
        "--dicom-out", type=Path, metavar="DIR", help="also write segmentation, measurements and key slices as DICOM"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier report")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Write the report of a patient into its folder of results."""
    with extra("report"):
        from tokenunet.report.report import make_report
        from tokenunet.report.result_folder import read_result
    from tokenunet.inference.output import check_output

    if options.result.is_dir():
        check_output(options.result, options.force, REPORT_FILES)
    if options.dicom_out is not None:
        check_objects(options.dicom_out, options.force)
    result = read_result(options.result, options.scan)
    if options.dicom_out is not None:
        write_objects(result, result.source_files, options.dicom_out, "Leave out --dicom-out.")
    name = options.patient or result.run.get(REPORT_PATIENT) or options.result.resolve().name.replace("_", " ")
    report = make_report(result.run, result.scan, result.regions, name, result.brain)
    page, pdf = REPORT_FILES
    with locked_folder(options.result), staging_folder(options.result, REPORT_FILES) as staging:
        (staging / page).write_text(report.html, encoding="utf-8")
        (staging / pdf).write_bytes(report.pdf)
        if options.patient:  # a report that is made again, as after a correction, has the same name
            write_report(read_report(options.result) | {REPORT_PATIENT: options.patient}, staging)
    on_event(ResultEvent(str(options.result), {}))
    print(f"Open {options.result / page} or {options.result / pdf}.", file=sys.stderr)
