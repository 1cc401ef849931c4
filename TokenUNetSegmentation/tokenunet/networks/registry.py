"""Registry of network architectures; importing it needs neither PyTorch nor MONAI.

A network is added by one file with its class and one registration:

    @register_architecture("my_unet", title="My U-Net", color="#d55e00", size_multiple=16)
    class MyUNet(nn.Module):
        def __init__(self, in_channels: int, out_channels: int, width: int = 32) -> None: ...

The file is found when it is imported, when it is located in the folder `$TOKENUNET_NETWORKS` (default:
`~/.tokenunet/networks`), or when an installed package names it as an entry point of the group `tokenunet.networks`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tokenunet.core.errors import ArchitectureError
from tokenunet.core.plugins import Plugins, check_name

if TYPE_CHECKING:
    from torch import nn

_Builder = TypeVar("_Builder", bound=Callable[..., Any])


@dataclass(frozen=True)
class Architecture:
    """How to build a network, and what it is capable of.

    Attributes:
        name: Identifier in commands, configurations and bundles.
        title: Short name for tables, figures and panels.
        color: Color in figures, such as `#0072b2`.
        size_multiple: Number of voxels of which every side of the input is a multiple.
        build: Class or function that takes `in_channels`, `out_channels` and the architecture's own arguments.
        channels_last: Whether the network is fastest with channels-last tensors.
        has_attention_maps: Whether it has `forward_with_maps(x)`, which also returns TokenLearner and TokenFuser maps.
        cpu_optimized: Whether it consists of `ResidualBlock` stages as `UNetStar` does, so that the CPU-optimized
            forward applies, and keeps its accuracy with weights in half precision.
        training_defaults: Training settings that differ from the paper's protocol for the U-Net family.
        description: One sentence for tooltips and lists.
        trainable: Whether it is offered for training; others serve imported models only.
    """

    name: str
    title: str
    color: str
    size_multiple: int
    build: Callable[..., "nn.Module"]
    channels_last: bool = False
    has_attention_maps: bool = False
    cpu_optimized: bool = False
    training_defaults: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    trainable: bool = True


_registered: dict[str, Architecture] = {}
_plugins = Plugins("networks")


def register_architecture(
    name: str,
    title: str,
    color: str,
    size_multiple: int,
    *,
    channels_last: bool = False,
    has_attention_maps: bool = False,
    cpu_optimized: bool = False,
    training_defaults: Mapping[str, Any] | None = None,
    description: str = "",
    trainable: bool = True,
) -> Callable[[_Builder], _Builder]:
    """Register the decorated class or function as an architecture.

    Args:
        name: Identifier in commands, configurations and bundles.
        title: Short name for tables, figures and panels.
        color: Color in figures, such as `#0072b2`.
        size_multiple: Number of voxels of which every side of the input is a multiple.
        channels_last: Whether the network is fastest with channels-last tensors.
        has_attention_maps: Whether the network has `forward_with_maps(x)`.
        cpu_optimized: Whether the CPU-optimized forward of `UNetStar` applies.
        training_defaults: Training settings that differ from the paper's protocol for the U-Net family.
        description: One sentence for tooltips and lists.
        trainable: Whether it is offered for training.

    Returns:
        A decorator that returns the class or function unchanged.

    Raises:
        ArchitectureError: If the name is taken or no identifier.
    """
    builders = {taken: known.build for taken, known in _registered.items()}
    check_name(name, "an architecture", builders, ArchitectureError)

    def register(build: _Builder) -> _Builder:
        _registered[name] = Architecture(
            name,
            title,
            color,
            size_multiple,
            build,
            channels_last,
            has_attention_maps,
            cpu_optimized,
            dict(training_defaults or {}),
            description,
            trainable,
        )
        return build

    return register


def architectures() -> Mapping[str, Architecture]:
    """Return all architectures that can be trained, by name, the built-in ones first.

    A plugin that cannot be imported, for instance because PyTorch is not installed yet, is reported by a warning.

    Example:
        >>> from tokenunet.networks.registry import architectures
        >>> architectures()["token_unet"].has_attention_maps
        True
    """
    _plugins.load()
    return MappingProxyType({name: found for name, found in _registered.items() if found.trainable})


def architecture(name: str) -> Architecture:
    """Return the architecture of that name, also one that serves imported models only.

    Raises:
        ArchitectureError: If there is none.
    """
    known = architectures()
    if name not in _registered:
        raise ArchitectureError(f"There is no architecture {name!r}.", f"Choose from {', '.join(known)}.")
    return _registered[name]


def architecture_of(network: "nn.Module") -> Architecture | None:
    """Return what `build_network` built the network from; None for a network made otherwise."""
    return getattr(network, "tokenunet_architecture", None)


def title_of(name: str) -> str:
    """Return the title of an architecture, or the name itself if it is not registered."""
    known = architectures()
    return known[name].title if name in known else name


def color_of(name: str, otherwise: str) -> str:
    """Return the color of an architecture, or `otherwise` if it is not registered."""
    known = architectures()
    return known[name].color if name in known else otherwise


def build_network(name: str, in_channels: int = 4, out_channels: int = 3, **arguments: Any) -> "nn.Module":
    """Build a network with random weights.

    Args:
        name: Name of a registered architecture.
        in_channels: Number of sequences.
        out_channels: Number of regions.
        **arguments: The architecture's own arguments, for instance `tokens` or `channels`.

    Returns:
        The network in single precision on the CPU.

    Raises:
        ArchitectureError: If the name or an argument is unknown, or the arguments do not fit together.

    Example:
        >>> from tokenunet.networks import build_network
        >>> network = build_network("token_unet", in_channels=2, channels=(4, 8, 8, 16), tokens=6)
        >>> sum(p.numel() for p in network.parameters())
        15881
    """
    found = architecture(name)
    try:
        network = found.build(in_channels=in_channels, out_channels=out_channels, **arguments)
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ArchitectureError(f"The architecture {name!r} does not take these arguments: {error}") from error
    network.tokenunet_architecture = found  # type: ignore[assignment]
    return network
