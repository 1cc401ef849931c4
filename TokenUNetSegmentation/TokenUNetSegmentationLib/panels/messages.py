"""Errors as the panels display them."""

from html import escape

from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError


def sentence(error: Exception | None) -> str:
    """Return the message and hint of an error as rich text."""
    if isinstance(error, TokenUNetError):
        hint = f" {escape(error.hint)}" if error.hint else ""
        return f"<b>⚠</b> {escape(str(error))}{hint}"
    return f"<b>⚠</b> {_('Something unexpected went wrong')}: {escape(f'{type(error).__name__}: {error}')}"
