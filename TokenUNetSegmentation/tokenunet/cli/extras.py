"""Packages that not everyone has installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from tokenunet.core.errors import UsageError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Says which packages to install where the block cannot import them."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The package {error.name} is not installed.", f'Run: pip install "tokenunet[{name}]"'
        ) from error
