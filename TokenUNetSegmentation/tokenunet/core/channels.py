"""Input channels of a model: their names, and which of them may be missing."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tokenunet.core.regions import REGION_TITLES
from tokenunet.core.sequences import ALIASES, SEQUENCES, SequenceName

_UNNOTICED = 0.005
"""Change of a Dice that is said to be none."""


@dataclass(frozen=True)
class OptionalChannels:
    """Channels that a model can do without together, and what that costs.

    Attributes:
        channels: Names of the channels.
        dice_change: Change of the mean Dice by region, compared with all channels; empty if it was not measured.
    """

    channels: tuple[SequenceName, ...]
    dice_change: dict[str, float] = field(default_factory=dict)

    def describe_cost(self) -> str:
        """Return the cost for people, such as "whole tumor Dice about 0.07 lower"; empty if it was not measured."""
        return ", ".join(
            f"{title} Dice {_described(self.dice_change[region])}"
            for region, title in REGION_TITLES.items()
            if region in self.dice_change
        )


def _described(change: float) -> str:
    if abs(change) < _UNNOTICED:
        return "unchanged"
    return f"about {abs(change):.2f} {'lower' if change < 0 else 'higher'}"


@dataclass(frozen=True)
class ChannelSet:
    """Input channels of a model.

    Attributes:
        aliases: Names under which users have each channel, by the channel's name, in the network's order.
        optional: Sets of channels that may be missing together.

    Example:
        >>> FOUR_SEQUENCES.names
        ('T1', 'T1ce', 'T2', 'FLAIR')
    """

    aliases: Mapping[SequenceName, tuple[str, ...]]
    optional: tuple[OptionalChannels, ...] = ()

    @property
    def names(self) -> tuple[SequenceName, ...]:
        """Names of the channels in the network's order."""
        return tuple(self.aliases)

    def without(self, missing: Collection[SequenceName]) -> OptionalChannels | None:
        """Return what it costs that exactly these channels are missing; None if the model needs one of them."""
        if not missing:
            return OptionalChannels(())
        return next((option for option in self.optional if set(option.channels) == set(missing)), None)

    def describe_optional(self) -> str:
        """Return what may be missing, such as "T1; FLAIR; T1 and T2"; empty if nothing may."""
        return "; ".join(" and ".join(n for n in self.names if n in option.channels) for option in self.optional)

    def find(self, name: str) -> SequenceName | None:
        """Return the channel of that name or alias, without regard to case; None if there is none."""
        lower = name.lower()
        return next(
            (n for n, aliases in self.aliases.items() if lower in (n.lower(), *(a.lower() for a in aliases))), None
        )

    def named(self, text: str) -> SequenceName | None:
        """Return the channel, other than the four BraTS sequences, that a file's name refers to; None if there is none.

        Args:
            text: Name of a file; its words are compared with names and aliases without regard to case.
        """
        words = set(re.split(r"[^a-z0-9]+", text.lower()))
        for name, aliases in self.aliases.items():
            if name not in SEQUENCES and words & {name.lower(), *(alias.lower() for alias in aliases)}:
                return name
        return None


def channels_named(names: Sequence[SequenceName]) -> ChannelSet:
    """Return channels with their usual aliases, all of them required."""
    return ChannelSet({name: ALIASES.get(name, ()) for name in names})


FOUR_SEQUENCES = channels_named(SEQUENCES)
"""T1, T1ce, T2 and FLAIR, all of them required."""
