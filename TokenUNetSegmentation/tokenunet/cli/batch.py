"""Option ``--batch`` of ``tokenunet segment``: many patients, and a table of their results."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenunet.cli.extras import extra
from tokenunet.core.errors import UsageError
from tokenunet.core.events import Event, OnEvent, PatientEvent
from tokenunet.inference.batch.check import check_patients
from tokenunet.inference.batch.patients import find_patients
from tokenunet.inference.batch.processes import run_in_processes
from tokenunet.inference.batch.run import Runner, segment_batch
from tokenunet.inference.request import SegmentationRequest, scan_arguments
from tokenunet.runtime.device import resolve_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for many patients."""
    batch = parser.add_argument_group(
        "many patients",
        "Results are written to one folder per patient below --output, with a table in summary.csv. Patients with "
        "finished results are skipped, so that the same command continues after an interruption.",
    )
    batch.add_argument(
        "--batch",
        type=Path,
        metavar="DIR_OR_CSV",
        help="folder with one folder per patient (and per session, if any), or CSV file with the columns patient and "
        "input, or patient and one column per channel (t1, t1ce, ...)",
    )
    batch.add_argument(
        "--check",
        action="store_true",
        help="only read the scans of all patients and list what is wrong with them; exits with code 3 if anything is",
    )
    batch.add_argument("--jobs", type=int, metavar="N", help="number of patients to segment in parallel (default: 1)")
    batch.add_argument("--cluster", metavar="ADDRESS", help="address of a Ray cluster; 'local' starts one here")


def refuse_without_batch(options: argparse.Namespace) -> None:
    """Check that no option for many patients is given without ``--batch``.

    Raises:
        UsageError: If one is given.
    """
    for name in ("jobs", "cluster", "check"):
        value = getattr(options, name)
        if value is not None and value is not False:
            raise UsageError(f"--{name} is for many patients.", "Use it together with --batch.")


def run(options: argparse.Namespace, request: SegmentationRequest, on_event: OnEvent) -> None:
    """Segment all patients of ``--batch``, or check them.

    Args:
        options: Parsed arguments.
        request: Request whose settings apply to every patient.
        on_event: Callback that receives progress and warnings.

    Raises:
        UsageError: If an option for one patient is given.
        TokenUNetError: If patients cannot be found or segmented.
    """
    scans = [scan_arguments(name, "")[0] for name in (*request.inputs, *request.left_out)]
    for option in (*scans, *(["--input"] if request.folder else [])):
        raise UsageError(f"{option} is for one patient and cannot be given with --batch.", "Leave out one of them.")
    if options.check:
        check_patients(find_patients(options.batch, request, on_event), _listing(options, on_event))
        return
    if options.cluster is None:  # on a cluster, each machine has devices of its own
        device = str(resolve_device(request.options.device))
        request = replace(request, options=replace(request.options, device=device))
    jobs = find_patients(options.batch, request, on_event)
    counts = segment_batch(jobs, jobs[0].request.output.parent, _runner(options), on_event)
    if options.progress != "json":
        before = f" ({counts['skipped']} of them before)" if counts["skipped"] else ""
        print(f"{counts['patients']} patients segmented{before}. The table is {counts['summary']}.")


def _listing(options: argparse.Namespace, on_event: OnEvent) -> OnEvent:
    """Return the callback that lists the checked patients for people, or passes on events to programs."""

    def receive(event: Event) -> None:
        on_event(event)
        if isinstance(event, PatientEvent) and options.progress != "json":
            text = " ".join((event.message, event.hint, *event.notes)).strip()
            print(f"{event.patient}: {event.status}, {', '.join(event.scans) or 'not read'}. {text}".rstrip())

    return receive


def _runner(options: argparse.Namespace) -> Runner:
    if options.cluster is not None:
        if options.jobs is not None:
            raise UsageError("--jobs cannot be given with --cluster.", "A cluster uses all of its resources.")
        with extra("cluster"):
            from tokenunet.inference.batch.cluster import run_on_cluster

        return partial(run_on_cluster, address=options.cluster)
    processes = 1 if options.jobs is None else options.jobs
    if processes < 1:
        raise UsageError(f"--jobs must be at least 1, not {processes}.")
    return partial(run_in_processes, processes=processes)
