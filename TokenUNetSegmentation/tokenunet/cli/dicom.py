"""Command ``tokenunet dicom``: the results of a segmented patient as DICOM objects."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent, Progress, ResultEvent, Stage
from tokenunet.io.result_files import DICOM_FILES

if TYPE_CHECKING:
    from tokenunet.report.result_folder import ReadResult


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``dicom`` command."""
    text = "write the results of a segmented patient as DICOM objects"
    parser = commands.add_parser("dicom", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("result", type=Path, metavar="RESULT", help="output folder of tokenunet segment")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the objects")
    parser.add_argument("--scan", type=Path, metavar="FILE", help="reference scan (default: where it was)")
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="folder of the reference's DICOM series (default: that of the scan)"
    )
    parser.add_argument("--force", action="store_true", help="replace the objects of an earlier export")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Write segmentation, measurements and, with matplotlib installed, key slices."""
    from tokenunet.report.result_folder import read_result
    from tokenunet.study.dicom import find_series

    check_objects(options.output, options.force)
    progress = Progress(on_event, {Stage.LOAD: 0.3, Stage.WRITE: 0.7})
    progress.update(Stage.LOAD, 0)
    result = read_result(options.result, options.scan)
    files = result.source_files
    if options.source is not None:
        if not options.source.is_dir():
            raise UsageError(f"There is no folder {options.source}.", "Check the path of --source.")
        known = result.run["inputs"][result.run["reference"]].get("series", {}).get("uid")
        series = [volume for volume in find_series(options.source) if known in (None, volume.uid)]
        if len(series) != 1:
            raise UsageError(
                f"{options.source} holds {len(series)} DICOM series that may be the reference's.",
                "Choose the folder of that series.",
            )
        files = series[0].files
    progress.update(Stage.WRITE, 0)
    written = write_objects(result, files, options.output, "Name the series with --source.")
    progress.update(Stage.WRITE, 1)
    on_event(ResultEvent(str(options.output), {"objects": len(written)}))
    if options.progress != "json":
        print(f"Wrote {len(written)} objects to {options.output}.")


def check_objects(folder: Path, force: bool) -> None:
    """Check before the work that DICOM objects can be written.

    Args:
        folder: Folder for the objects.
        force: Whether to replace the objects of an earlier export.

    Raises:
        UsageError: If a package is missing.
        OutputError: If the folder has objects already, or cannot be written.
    """
    with extra("dicom"):
        import highdicom  # noqa: F401
    from tokenunet.inference.output import check_output

    check_output(folder, force, DICOM_FILES)


def write_objects(result: "ReadResult", files: Sequence[Path], folder: Path, hint: str) -> list[Path]:
    """Write the results of a folder as DICOM objects, and return their files.

    Args:
        result: Result that was read.
        files: Files of the reference's series; empty if it is no DICOM.
        folder: Folder for the objects, for which `check_objects` was called.
        hint: What to do if there is no series.

    Raises:
        UsageError: If there is no series.
        OutputError: If the folder cannot be written.
    """
    from tokenunet.dicom_out.export import DicomResult, write_dicom_result

    if not files:
        raise UsageError("The reference is not a DICOM series, which DICOM results must refer to.", hint)
    dicom = DicomResult.of_run(result.run, result.scan, result.regions, files)
    return write_dicom_result(dicom, folder, key_slices=find_spec("matplotlib") is not None)
