"""Command ``tokenunet networks``: list of the architectures."""

import argparse
import json

from tokenunet.core.events import OnEvent
from tokenunet.networks import architectures, build_network


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``networks`` command."""
    text = "list the architectures with their trainable parameters"
    parser = commands.add_parser("networks", help=text, description=f"{text.capitalize()}.")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Print the architectures."""
    from tokenunet.networks.blocks import trainable_parameters

    rows = [
        {"name": name, "title": found.title, "parameters": trainable_parameters(build_network(name))}
        for name, found in architectures().items()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'name':<24} {'title':<14} parameters")
    for row in rows:
        print(f"{row['name']:<24} {row['title']:<14} {row['parameters']:>10,}")
