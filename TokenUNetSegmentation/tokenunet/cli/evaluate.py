"""Command ``tokenunet evaluate``: evaluation of a model on synthetic and labeled real patients."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.cli.extras import extra
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.errors import UsageError
from tokenunet.core.events import OnEvent, Progress, ResultEvent, Stage
from tokenunet.io.files import staging_folder

if TYPE_CHECKING:  # loaded when they are used
    from tokenunet.bundle.bundle import ModelBundle
    from tokenunet.data import Case

_REPORT = "evaluation.json"
_MISSING_REPORT = "missing_sequences.json"
_MISSING_RESULTS = (_MISSING_REPORT, "missing_sequences.md")
_RESULTS = (_REPORT, "evaluation.md", "calibration.png", "real_*.png")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``evaluate`` command."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate a model on patients that it was not trained on",
        description="Evaluate a model on synthetic patients with and without a tumor, on perturbed scans and, if "
        "given, on real patients.",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of a model bundle (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder for evaluation.json, evaluation.md, calibration.png and real_NAME.png",
    )
    parser.add_argument(
        "--patients",
        type=int,
        default=30,
        metavar="N",
        help="number of synthetic patients with a tumor; half as many healthy ones are added (default: %(default)s)",
    )
    parser.add_argument(
        "--real",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with four sequences and a ground truth, in a layout for training",
    )
    parser.add_argument(
        "--tumor-free",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with four sequences of brains without a tumor, to measure false positives",
    )
    parser.add_argument(
        "--missing-sequences",
        action="store_true",
        help="instead, measure the cost of each set of sequences that the model allows to be missing, "
        "and write missing_sequences.json and .md",
    )
    parser.add_argument(
        "--fold",
        nargs="+",
        action="append",
        default=[],
        metavar=("MODEL", "DIR"),
        help="with --missing-sequences, instead of --real: a model of a cross-validation and the folders of the real "
        "patients that it has not seen; may be given for each fold",
    )
    parser.add_argument("--force", action="store_true", help="replace the results of an earlier evaluation")
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Evaluate a model and write tables and figures."""
    if options.patients < 1:
        raise UsageError(f"--patients must be at least 1, not {options.patients}.", "Leave out --patients.")
    if options.fold and (options.real or not options.missing_sequences):
        raise UsageError("--fold goes with --missing-sequences and replaces --real.", "Leave one of them out.")
    if options.missing_sequences:
        _measure_missing(options, on_event)
        return
    with extra("train"):  # fails before the long evaluation
        from tokenunet.evaluation.evidence_figures import draw_calibration, draw_contours
    from tokenunet.bundle.bundle import load_bundle
    from tokenunet.evaluation.evidence import CountedModel, gather, passes
    from tokenunet.evaluation.evidence_tables import as_markdown, summary
    from tokenunet.evaluation.real import real_cases, tumor_free_cases
    from tokenunet.inference.output import check_output
    from tokenunet.runtime.environment import versions

    check_output(options.output, options.force, _RESULTS)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    bundle = load_bundle(find_model(options.model))
    manifest, cases, tumor_free = bundle.manifest, real_cases(options.real), tumor_free_cases(options.tumor_free)
    progress = Progress(on_event, {Stage.MEASURE: 1.0})
    progress.update(Stage.MEASURE, 0)
    model = CountedModel(bundle, progress, passes(manifest.space, options.patients, cases, tumor_free))
    evidence = gather(manifest.space, options.patients, cases, model, tumor_free)
    assert model.execution is not None
    figures = summary(evidence, manifest.space)
    report = {
        "schema": 1,
        "started": started,
        "versions": versions(),
        "execution": asdict(model.execution),
        "model": {
            "name": manifest.name,
            "architecture": manifest.architecture,
            "members": manifest.members,
            "spacing": manifest.spacing,
            "sha256": manifest.weights_sha256,
        },
        "summary": figures,
        "tumors": [asdict(row) for row in evidence.tumors],
        "healthy": [asdict(row) for row in evidence.healthy],
        "disturbed": [asdict(row) for row in evidence.disturbed],
        "real_appearance": [asdict(row) for row in evidence.real_appearance],
        "tumor_free": [asdict(row) for row in evidence.tumor_free],
        "real": [asdict(row) for row in evidence.real],
    }
    text = as_markdown(report)
    with staging_folder(options.output, replaces=_RESULTS, last=_REPORT) as staging:
        (staging / "evaluation.md").write_text(text, encoding="utf-8")
        (staging / "calibration.png").write_bytes(draw_calibration(figures["calibration"]))
        for view in evidence.views:
            (staging / f"real_{view.name}.png").write_bytes(draw_contours(view))
        (staging / _REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    on_event(ResultEvent(str(options.output), report))
    if options.progress != "json":
        print(text, end="")


def _measure_missing(options: argparse.Namespace, on_event: OnEvent) -> None:
    from tokenunet.bundle.bundle import load_bundle
    from tokenunet.evaluation.evidence import CountedModel
    from tokenunet.evaluation.missing import (
        MissingRow,
        costs,
        measure_real,
        measure_synthetic,
        measured_sets,
        missing_markdown,
        with_measured_costs,
    )
    from tokenunet.evaluation.real import real_cases
    from tokenunet.inference.output import check_output

    check_output(options.output, options.force, _MISSING_RESULTS)
    bundle = load_bundle(find_model(options.model))
    manifest, channels = bundle.manifest, bundle.manifest.inputs
    if not channels.optional:
        raise UsageError(f"{manifest.name} needs all of its channels.", "Choose a model that can do without some.")
    folds = [_fold(model, folders, manifest) for model, *folders in options.fold]
    folds = folds or [(bundle, real_cases(options.real))]
    progress = Progress(on_event, {Stage.MEASURE: 1.0})
    patients = options.patients + sum(len(cases) for _, cases in folds)
    model = CountedModel(bundle, progress, len(measured_sets(channels)) * patients)
    rows: list[MissingRow] = []
    for model.bundle, cases in folds:
        rows += measure_real(manifest.space, channels, cases, model)
    model.bundle = bundle
    rows += measure_synthetic(manifest.space, channels, options.patients, model)
    means = costs(rows)
    report = {
        "schema": 1,
        "model": {"name": manifest.name, "sha256": manifest.weights_sha256},
        "optional_channels": with_measured_costs(channels, means),
        "means": [{"missing": missing, "dice": dice} for missing, dice in means.items()],
        "rows": [asdict(row) for row in rows],
    }
    text = missing_markdown(means)
    with staging_folder(options.output, replaces=_MISSING_RESULTS, last=_MISSING_REPORT) as staging:
        (staging / _MISSING_RESULTS[1]).write_text(text, encoding="utf-8")
        (staging / _MISSING_REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    on_event(ResultEvent(str(options.output), report))
    if options.progress != "json":
        print(text, end="")


def _fold(model: str, folders: Sequence[str], manifest: ModelManifest) -> tuple["ModelBundle", list["Case"]]:
    from tokenunet.bundle.bundle import load_bundle
    from tokenunet.evaluation.real import real_cases

    if not folders:
        raise UsageError(f"--fold {model} names no patients.", "Add the folders of those that it has not seen.")
    bundle = load_bundle(find_model(model))
    if bundle.manifest.space != manifest.space:
        raise UsageError(f"{model} has other inputs than {manifest.name}.", "Choose folds of the same training.")
    return bundle, real_cases([Path(folder) for folder in folders])
