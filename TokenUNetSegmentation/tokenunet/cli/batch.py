"""``tokenunet segment --batch``: a folder or a CSV of patients, and a table of how they went."""

import argparse
from functools import partial
from pathlib import Path

from tokenunet.cli.extras import extra
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent
from tokenunet.inference.batch.patients import find_patients
from tokenunet.inference.batch.processes import run_in_processes
from tokenunet.inference.batch.run import Runner, segment_batch
from tokenunet.inference.request import SegmentationRequest, scan_arguments
from tokenunet.runtime.device import resolve_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those that are about many patients."""
    batch = parser.add_argument_group(
        "many patients",
        "A folder of results for each below --output, and summary.csv, which says how they went. Patients whose "
        "results stand are skipped, so that the same command goes on after an interruption.",
    )
    batch.add_argument(
        "--batch",
        type=Path,
        metavar="DIR_OR_CSV",
        help="a folder with a folder per patient (and below, per session), or a CSV with the columns patient and "
        "input, or patient and one for each channel (t1, t1ce, ...)",
    )
    batch.add_argument("--jobs", type=int, metavar="N", help="patients at a time (default: 1)")
    batch.add_argument("--cluster", metavar="ADDRESS", help="of a Ray cluster; 'local' begins one on this computer")


def refuse_without_batch(options: argparse.Namespace) -> None:
    """Raises UsageError where an argument is given that is about many patients only."""
    for name in ("jobs", "cluster"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} is for many patients.", "Use it with --batch.")


def run(options: argparse.Namespace, request: SegmentationRequest, on_event: OnEvent) -> None:
    """Segments all patients of ``options.batch``; ``request`` says how."""
    scans = [scan_arguments(name, "")[0] for name in (*request.inputs, *request.left_out)]
    for option in (*scans, *(["--input"] if request.folder else [])):
        raise UsageError(f"{option} is for one patient and cannot be given with --batch.", "Leave out either.")
    jobs = find_patients(options.batch, request, on_event)
    counts = segment_batch(jobs, jobs[0].request.output.parent, _runner(options), on_event)
    if options.progress != "json":
        before = f" ({counts['skipped']} of them before)" if counts["skipped"] else ""
        print(f"{counts['patients']} patients segmented{before}. The table is {counts['summary']}.")


def _runner(options: argparse.Namespace) -> Runner:
    if options.cluster is not None:
        if options.jobs is not None:
            raise UsageError("--jobs cannot be given with --cluster.", "A cluster runs as many as it has room for.")
        with extra("cluster"):
            from tokenunet.inference.batch.cluster import run_on_cluster

        return partial(run_on_cluster, address=options.cluster)
    processes = 1 if options.jobs is None else options.jobs
    if processes < 1:
        raise UsageError(f"--jobs must be at least 1, not {processes}.")
    resolve_device(options.device)
    return partial(run_in_processes, processes=processes)
