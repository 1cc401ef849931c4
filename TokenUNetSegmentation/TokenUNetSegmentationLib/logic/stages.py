"""Titles of a run's stages, for the progress bar and for messages."""

from slicer.i18n import tr as _


def stage_title(stage: str) -> str:
    """Return the title of a stage.

    Args:
        stage: Name of the stage in the worker's events.

    Returns:
        Translated title, or the name itself for an unknown stage.
    """
    titles = {
        "export": _("Exporting the scans"),
        "load": _("Reading the scans"),
        "align": _("Aligning the scans"),
        "prepare": _("Preparing the scans"),
        "predict": _("Segmenting"),
        "restore": _("Resampling to the original space"),
        "write": _("Writing the result"),
        "show": _("Showing the result"),
        "check": _("Checking the patients"),
        "train": _("Training"),
        "import": _("Importing the model"),
    }
    return titles.get(stage, stage)
