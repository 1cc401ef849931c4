"""Configuration of a MONAI bundle, of which nothing is executed."""

from collections.abc import Mapping
from typing import Any

from tokenunet.core.errors import ModelError

_MOST_DEPTH = 10


class MonaiConfiguration:
    """A bundle's configuration, of which only plain values and references to them are read."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def plain(self, value: Any, name: str, depth: int = 0) -> Any:
        """Return a value with references replaced.

        Args:
            value: What the configuration holds.
            name: Where it is, for messages.
            depth: Number of references that led to it.

        Raises:
            ModelError: If it is, or refers to, an expression.
        """
        if depth > _MOST_DEPTH:
            raise ModelError(f"{name} in {self.where} refers to itself.", "Correct the bundle.")
        if isinstance(value, str) and value.startswith("$"):
            raise ModelError(
                f"{name} in {self.where} is the expression {value[:80]!r}, which is not executed.",
                "Replace it by its value, and import the bundle again.",
            )
        if isinstance(value, str) and value.startswith("@"):
            return self.plain(self._referred(value[1:], name), name, depth + 1)
        if isinstance(value, dict):
            return {key: self.plain(inner, f"{name}::{key}", depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.plain(inner, f"{name}::{place}", depth + 1) for place, inner in enumerate(value)]
        return value

    def followed(self, value: Any, name: str) -> Any:
        """Return what a value refers to, or the value itself, whose own content may hold anything; see `plain`."""
        for _ in range(_MOST_DEPTH):
            if not isinstance(value, str) or not value.startswith("@"):
                break
            value = self._referred(value[1:], name)
        return self.plain(value, name) if isinstance(value, str) else value

    def transforms(self, name: str) -> list[dict[str, Any]]:
        """Return the transforms of a part of the configuration, whose arguments may hold references and expressions.

        Raises:
            ModelError: If the part, or one of its transforms, is an expression.
        """
        described = self.followed(self.values.get(name, {}), name)
        listed = described.get("transforms", []) if isinstance(described, dict) else described
        return [self.followed(t, f"{name}::transforms") for t in self.followed(listed, name)]

    def is_disabled(self, transform: Mapping[str, Any]) -> bool:
        """Return whether a transform is switched off."""
        return bool(self.plain(transform.get("_disabled_", False), "_disabled_"))

    def _referred(self, path: str, name: str) -> Any:
        value: Any = self.values
        for step in path.replace("#", "::").split("::"):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise ModelError(f"{name} in {self.where} refers to {path!r}, which it does not have.") from error
        return value


def class_of(transform: Mapping[str, Any]) -> str:
    """Return the class of a transform without the ending of dictionaries, such as "Spacing" of `Spacingd`."""
    return str(transform.get("_target_", "")).split(".")[-1].removesuffix("d").removesuffix("D")
