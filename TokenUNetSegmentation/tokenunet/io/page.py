"""HTML pages: templates, colors and embedded pictures."""

import base64
from typing import Any

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("tokenunet.io", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
)


def render_page(template: str, **values: Any) -> str:
    """Render an HTML page.

    Args:
        template: File name of the template.
        **values: Values for the template; all of them are escaped.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def data_url(data: bytes, media_type: str) -> str:
    """Return a picture as a data URL, so that a page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def css_color(color: tuple[float, float, float]) -> str:
    """Return a color (red, green and blue from 0 to 1) as in CSS."""
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)
