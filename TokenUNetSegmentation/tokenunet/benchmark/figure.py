"""The paper's figure 4, from a benchmark: time against memory. Needs matplotlib."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from tokenunet.benchmark.rows import Row
from tokenunet.io.figures import svg

_OURS, _OTHERS = "#0072b2", "#d55e00"  # Okabe and Ito's


def draw_rows(rows: Sequence[Row]) -> bytes:
    """Draw the rows as an SVG bubble chart: both axes logarithmic, bubble area by parameters, lower left is better."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        groups: dict[tuple[float, float], list[tuple[float, float, str]]] = {}
        for row in rows:
            gigabytes = row.peak_bytes / 1e9
            color = _OURS if row.name.startswith("token") else _OTHERS
            area = 40 + 20 * row.parameters / 1e6
            axes.scatter(gigabytes, row.seconds, s=area, color=color, alpha=0.6, edgecolor="white")
            size = f" {row.size}³" if len({r.size for r in rows}) > 1 else ""
            place = round(math.log10(gigabytes), 1), round(math.log10(row.seconds), 1)
            groups.setdefault(place, []).append((gigabytes, row.seconds, f"{row.name}{size}, {row.precision}"))
        for group in groups.values():  # one list for overlapping bubbles
            (x, *_), (y, *_), texts = zip(*group, strict=True)
            axes.annotate("\n".join(texts), (x, y), (9, 0), textcoords="offset points", size=7, va="center")
        axes.set(xscale="log", yscale="log", xlabel="peak memory (GB)", ylabel="seconds")
        axes.margins(x=0.35, y=0.15)

    return svg(draw, 8, 4.5)
