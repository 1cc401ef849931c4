"""Style of all matplotlib figures, and their export as SVG; needs matplotlib."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
    "svg.hashsalt": "tokenunet",  # makes files reproducible
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Apply the style of all figures while the block runs."""
    with mpl.rc_context(_STYLE):
        yield


def svg(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """Draw a figure and return it as SVG.

    Args:
        draw: Function that draws on an empty figure.
        width: Width in inches.
        height: Height in inches.
    """
    with plot_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
