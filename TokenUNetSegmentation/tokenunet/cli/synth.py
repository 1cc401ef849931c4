"""Command ``tokenunet synth``: synthetic glioma patients as BraTS-style folders or on a contact sheet."""

import argparse
import sys
from pathlib import Path

from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import OutputExistsError, UsageError
from tokenunet.core.events import OnEvent, Progress, Stage


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``synth`` command."""
    text = "generate synthetic patients with their ground truth"
    parser = commands.add_parser("synth", help=text, description=f"{text.capitalize()}.")
    parser.add_argument(
        "--patients", type=int, default=1, metavar="N", help="number of patients (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first patient (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for one folder per patient")
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="PNG of every patient in three planes: T1, T1ce, T2, FLAIR, then T1ce and FLAIR with ground-truth "
        "outlines of whole tumor (green), tumor core (blue) and enhancing tumor (red)",
    )
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Write synthetic patients, a contact sheet, or both."""
    if options.output is None and options.sheet is None:
        raise UsageError(
            "Nothing to write.", "Give --output DIR for patients, --sheet FILE.png for a picture, or both."
        )
    if options.patients < 1 or options.seed < 0:
        raise UsageError("--patients must be at least 1, and --seed at least 0.", "Correct the number.")
    # These import MONAI, which takes seconds.
    import numpy as np

    from tokenunet.synthesis import patient_name, synthetic_patient, write_patient
    from tokenunet.synthesis.sheet import contact_sheet, write_sheet

    seeds = range(options.seed, options.seed + options.patients)
    if options.output is not None:
        existing = [name for name in map(patient_name, seeds) if (options.output / name).exists()]
        if existing:
            raise OutputExistsError(
                f"{options.output} already has {', '.join(existing[:3])}{' and more' if len(existing) > 3 else ''}.",
                "Choose another folder or another --seed.",
            )
    if options.sheet is not None and options.sheet.exists():
        raise OutputExistsError(f"{options.sheet} already exists.", "Choose another name.")
    progress = Progress(on_event, {Stage.WRITE: 1.0})
    shown = []
    for done, seed in enumerate(seeds, start=1):
        patient = synthetic_patient(seed)
        if options.output is not None:
            print(write_patient(patient, options.output), file=sys.stderr)
        if options.sheet is not None:
            shown.append(contact_sheet([(patient.images, patient.labels)]))
        progress.update(Stage.WRITE, done / options.patients)
    if shown:
        write_sheet(np.concatenate(shown), options.sheet)
        print(options.sheet, file=sys.stderr)
