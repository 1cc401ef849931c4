"""Command ``tokenunet models``: list, check and import of model bundles."""

import argparse
import sys
from pathlib import Path

from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import find_model, import_model, stored_models
from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent, Progress, ResultEvent, Stage


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``models`` command."""
    text = "list, show, verify or import model bundles"
    parser = commands.add_parser("models", help=text, description=f"{text.capitalize()}.")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    actions.add_parser("list", help="list the models that can be chosen by name").set_defaults(run=_list)
    for name, run, text in (
        ("show", _show, "print a model's manifest"),
        ("verify", _verify, "check a model's weights against its checksum and architecture"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
        action.add_argument("model", help="name from the list, or path of a bundle folder or .zip file")
        action.set_defaults(run=run)
    action = actions.add_parser("import", help="copy a bundle, or a model of nnU-Net or MONAI, to your models")
    action.add_argument(
        "model", type=Path, help="folder or .zip of a bundle, a trained model of nnU-Net v2, or a MONAI bundle"
    )
    action.add_argument(
        "--mirroring",
        action="store_true",
        help="predict mirrored windows too, as nnU-Net does by default; up to eight times slower",
    )
    add_progress_argument(action)
    action.set_defaults(run=_import)


def _list(options: argparse.Namespace, on_event: OnEvent) -> None:
    for model in stored_models():
        channels = ", ".join(model.manifest.inputs.names)
        print(f"{model.name:<28} {model.manifest.kind:<24} {channels:<22} {model.path}")


def _show(options: argparse.Namespace, on_event: OnEvent) -> None:
    manifest = load_bundle(find_model(options.model)).manifest
    if manifest.members > 1:
        print(f"{manifest.name}: {manifest.kind}", file=sys.stderr)  # standard output is JSON
    print(manifest.to_json(), end="")


def _verify(options: argparse.Namespace, on_event: OnEvent) -> None:
    bundle = load_bundle(find_model(options.model))
    bundle.build()
    print(f"{bundle.source}: weights match their checksum and {bundle.manifest.kind}.")


def _import(options: argparse.Namespace, on_event: OnEvent) -> None:
    progress = Progress(on_event, {Stage.IMPORT: 1.0})
    progress.update(Stage.IMPORT, 0)
    path = import_model(options.model, options.mirroring, lambda fraction: progress.update(Stage.IMPORT, fraction))
    on_event(ResultEvent(str(path), {"name": path.name}))
    if options.progress != "json":
        print(f"Imported as {path.name}.")
