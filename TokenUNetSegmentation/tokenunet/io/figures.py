"""Style of all matplotlib figures, and their export as SVG. Needs matplotlib."""

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
    "svg.hashsalt": "tokenunet",  # the same numbers give the same file
}


@contextmanager
def plot_style() -> Iterator[None]:
    """How every figure of a report looks."""
    with mpl.rc_context(_STYLE):
        yield


def svg(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """A figure of that many inches, drawn in the style of all plots."""
    with plot_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
