"""``tokenunet networks``: the architectures and their sizes."""

import argparse
import json

from tokenunet.core.events import OnEvent
from tokenunet.networks import ARCHITECTURES, build_network, trainable_parameters


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("networks", help="list the architectures with their trainable parameters")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    rows = [{"name": name, "parameters": trainable_parameters(build_network(name))} for name in ARCHITECTURES]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'name':<24} parameters")
    for row in rows:
        print(f"{row['name']:<24} {row['parameters']:>10,}")
