"""The Token-UNet family, its baselines and the registry of all architectures.

`architectures()` lists them and `build_network` builds one by name. Importing this package loads neither PyTorch nor
MONAI.
"""

import tokenunet.networks.builtin
import tokenunet.networks.imported  # noqa: F401, both register their architectures
from tokenunet.networks.registry import (
    Architecture,
    architecture,
    architecture_of,
    architectures,
    build_network,
    register_architecture,
)

__all__ = [
    "Architecture",
    "architecture",
    "architecture_of",
    "architectures",
    "build_network",
    "register_architecture",
]
