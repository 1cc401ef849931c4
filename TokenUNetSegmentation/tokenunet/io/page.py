"""What all pages share: templates, styles, and pictures inside the page."""

import base64
from typing import Any

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("tokenunet.io", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
)


def render_page(template: str, **values: Any) -> str:
    """HTML of a page; all values are escaped."""
    return _ENVIRONMENT.get_template(template).render(values)


def data_url(data: bytes, media_type: str) -> str:
    """A picture itself as a URL, so that the page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def css_color(color: tuple[float, float, float]) -> str:
    """Red, green and blue from 0 to 1 as CSS writes them."""
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)
