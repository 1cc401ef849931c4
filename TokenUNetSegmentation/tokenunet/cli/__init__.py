"""Command line interface ``tokenunet``.

Exit codes: 0 done, 2 usage, 3 bad input, 4 bad model, 5 device or memory, 6 cannot write, 130 cancelled.
With ``--progress json``, events are written to standard output as JSON lines; text for people is written to standard
error.
"""

import argparse
import sys
from importlib import import_module
from typing import NoReturn

import tokenunet
from tokenunet.cli.interruptions import interruptions_call
from tokenunet.cli.progress import event_receiver
from tokenunet.core.errors import Cancelled, TokenUNetError
from tokenunet.core.events import ErrorEvent
from tokenunet.runtime.allocator import reuse_freed_memory

_DESCRIPTION = "Segment brain tumors in MRI with Token-UNet, and train and evaluate models. For research only."
_COMMANDS = (
    *("segment", "follow-up", "demo", "report", "dicom", "send", "networks", "models", "synth", "dataset"),
    *("train", "adapt", "export", "evaluate", "compare", "benchmark"),
)
"""Commands, each of the module of its name."""
_EPILOG = "Run 'tokenunet COMMAND --help' for the options of a command. Documentation: docs/ in the repository."


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Command-line arguments; None uses ``sys.argv``.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="tokenunet", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"tokenunet {tokenunet.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, dest="command", metavar="COMMAND")
    for command in _commands_to_import(sys.argv[1:] if arguments is None else arguments):
        import_module(f"tokenunet.cli.{command.replace('-', '_')}").add_parser(commands)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # the usage of the command helps, that of the program does not
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    reuse_freed_memory()
    on_event = event_receiver(getattr(options, "progress", None))
    interrupted = False

    def cancel() -> NoReturn:
        nonlocal interrupted
        interrupted = True
        raise Cancelled

    try:
        with interruptions_call(cancel):
            options.run(options, on_event)
    except Exception as caught:
        # A library may have caught the interruption and raised an error of its own.
        error = Cancelled() if interrupted and not isinstance(caught, Cancelled) else caught
        if not isinstance(error, TokenUNetError):
            raise
        on_event(ErrorEvent(error.code, str(error), error.hint))
        print(f"tokenunet: {error} {error.hint}".rstrip(), file=sys.stderr)
        return error.exit_code
    return 0


def _commands_to_import(arguments: list[str]) -> tuple[str, ...]:
    """Return the command that is given, or all of them for the help and for unknown ones.

    The others' modules take as long to import as a scan takes to read.
    """
    return tuple(arguments[:1]) if arguments and arguments[0] in _COMMANDS else _COMMANDS
