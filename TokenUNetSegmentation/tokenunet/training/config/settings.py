"""Description, range and unit of a training setting, kept in the metadata of its dataclass field."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """What people need to know of a setting.

    Attributes:
        description: Sentence for people, in English.
        unit: Unit of the value; empty if it has none.
        bounds: Lowest and highest value; None for what is no number.
        title: Label in the Training panel; settings without one are not in its form.
        operational: Whether it does not influence the result, so that a resumed training may change it.
        is_file: Whether the value is a path.
        default: Default value; None if there is none.
    """

    description: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    title: str = ""
    operational: bool = False
    is_file: bool = False
    default: Any = None

    @property
    def hint(self) -> str:
        """Description with range and unit, in one line."""
        if self.bounds is None:
            return self.description
        low, high = self.bounds
        return f"{self.description} From {low:,.10g} to {high:,.10g}{self.unit and ' '}{self.unit}."


def setting(
    default: Any = dataclasses.MISSING,
    *,
    description: str,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    title: str = "",
    operational: bool = False,
    is_file: bool = False,
    default_factory: Any = dataclasses.MISSING,
) -> Any:
    """Return a dataclass field that carries a `Setting`; the parameters are its attributes.

    Example:
        >>> @dataclass
        ... class Training:
        ...     epochs: int = setting(60, description="Passes over the training cases.", bounds=(1, 100))
        >>> settings_of(Training)["epochs"].hint
        'Passes over the training cases. From 1 to 100.'
    """
    shown = default if default is not dataclasses.MISSING else None
    metadata = {_KEY: Setting(description, unit, bounds, title, operational, is_file, shown)}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(configuration: Any) -> Mapping[str, Setting]:
    """Return the settings of a dataclass by the names of its fields, in their order."""
    return {field.name: field.metadata[_KEY] for field in dataclasses.fields(configuration)}
