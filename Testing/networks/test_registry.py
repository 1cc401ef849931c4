"""Networks are added by one file, and known from there to everything that lists networks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenunet.core.errors import ArchitectureError
from tokenunet.networks import architectures, build_network, register_architecture

PLUGIN = """
from torch import nn
from tokenunet.networks import register_architecture


@register_architecture("tiny_net", "Tiny-Net", "#123456", size_multiple=4, training_defaults={"learning_rate": 0.5})
class TinyNet(nn.Conv3d):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)
"""
EVERYWHERE = """
import json
from tokenunet.benchmark.networks import make_network, network_names
from tokenunet.training.config.configuration import configuration_of
from tokenunet.training.report.figures import _color
print(json.dumps({
    "benchmark": "tiny_net" in network_names() and type(make_network("tiny_net")).__name__,
    "color": _color("tiny_net"),
    "learning_rate": configuration_of("tiny_net", "paper").learning_rate,
}))
"""


def run_with_plugin(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "tiny.py").write_text(PLUGIN)
    environment = os.environ | {"TOKENUNET_NETWORKS": str(folder)}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=True)


def test_registry_plugin_file_is_listed(tmp_path: Path) -> None:
    rows = json.loads(run_with_plugin(tmp_path, "-m", "tokenunet", "networks", "--json").stdout)
    assert rows[-1] == {"name": "tiny_net", "title": "Tiny-Net", "parameters": 15}


def test_registry_plugin_file_is_known_everywhere(tmp_path: Path) -> None:
    known = json.loads(run_with_plugin(tmp_path, "-c", EVERYWHERE).stdout)
    assert known == {"benchmark": "TinyNet", "color": "#123456", "learning_rate": 0.5}


def test_registry_broken_plugin_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    done = run_with_plugin(tmp_path, "-m", "tokenunet", "networks", "--json")
    assert "broken.py cannot be loaded: No module named 'no_such_package'" in done.stderr
    assert {"unet", "tiny_net"} <= {row["name"] for row in json.loads(done.stdout)}


def test_registry_taken_name_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="'unet' is taken by tokenunet"):
        register_architecture("unet", "Mine", "#000000", 8)(dict)
    with pytest.raises(ArchitectureError, match="cannot name"):
        register_architecture("my net", "Mine", "#000000", 8)


def test_registry_unknown_name_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="There is no architecture 'vnet'"):
        build_network("vnet")


def test_registry_colors_and_titles_differ() -> None:
    known = architectures().values()
    assert len({a.color for a in known}) == len({a.title for a in known}) == len(known)


def test_registry_imports_without_torch() -> None:
    script = (
        "import sys; from tokenunet.networks import architectures; from tokenunet.bundle.store import stored_models; "
        "assert architectures() and stored_models(); sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
