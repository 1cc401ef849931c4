"""Command ``tokenunet follow-up``: comparison of two or more time points of one patient."""

import argparse

from tokenunet.cli.progress import add_progress_argument
from tokenunet.core.events import OnEvent
from tokenunet.core.regions import REGION_TITLES
from tokenunet.followup.request import FollowUpRequest, add_arguments


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the ``follow-up`` command."""
    parser = commands.add_parser(
        "follow-up",
        help="compare two or more time points of one patient",
        description="Segment the time points of one patient, align them to the first, match the lesions, and measure "
        "the changes with their uncertainty.",
    )
    add_arguments(parser)
    add_progress_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, on_event: OnEvent) -> None:
    """Compare the time points."""
    from tokenunet.followup.pipeline import follow_up

    report = follow_up(FollowUpRequest.from_options(options), on_event)
    if options.progress != "json":
        for change in report["changes"]:
            within = "  within uncertainty" if change["within_uncertainty"] else ""
            print(
                f"{change['earlier']} to {change['later']}  {REGION_TITLES[change['region']]:<17} "
                f"{change['before_ml']:8.2f} to {change['after_ml']:8.2f} ml: {change['difference_ml']:+8.2f} "
                f"± {change['uncertainty_ml']:.2f} ml{within}"
            )
        print(f"Results are in {options.output}.")
