"""Error messages for missing optional packages."""

from collections.abc import Iterator
from contextlib import contextmanager

from tokenunet.core.errors import UsageError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Report the extra to install if the block cannot import a package.

    Args:
        name: Extra of the pip package.

    Raises:
        UsageError: If a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The package {error.name} is not installed.", f'Run: pip install "tokenunet[{name}]"'
        ) from error
