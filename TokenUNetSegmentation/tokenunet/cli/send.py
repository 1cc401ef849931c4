"""Command ``tokenunet send``: transfer of DICOM files to an archive."""

import argparse
from pathlib import Path

from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent, Progress, ResultEvent, Stage
from tokenunet.dicom_out.destination import CALLING_AE_TITLE, parse_destination


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``send`` command."""
    text = "send DICOM files to an archive by C-STORE or DICOMweb"
    parser = commands.add_parser("send", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM file, or folder of them")
    parser.add_argument(
        "--to", required=True, metavar="ARCHIVE", help="AE_TITLE@HOST:PORT for C-STORE, or URL of a DICOMweb service"
    )
    parser.add_argument(
        "--calling", default=CALLING_AE_TITLE, metavar="AE_TITLE", help="AE title of the sender (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="longest wait for an answer (default: 30)"
    )
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Send files to an archive."""
    node = parse_destination(options.to, options.calling)
    with extra("dicom"):
        from tokenunet.dicom_out.send import send
    progress = Progress(on_event, {Stage.SEND: 1.0})
    stored = send(options.files, node, options.timeout, lambda fraction: progress.update(Stage.SEND, fraction))
    on_event(ResultEvent(str(node), {"stored": stored}))
    if options.progress != "json":
        print(f"{node} has stored {stored} objects.")
