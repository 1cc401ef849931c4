"""What ships beside the code is found wherever the code was put. The installed extension has a test of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tokenunet.io.resources import resource

ROOT = Path(__file__).resolve().parents[2]


def test_the_source_tree_has_its_resources_at_the_root() -> None:
    assert resource("Models") == ROOT / "Resources" / "Models"


def test_what_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        resource("absent")


@pytest.mark.slow
def test_a_wheel_carries_models_and_atlases(tmp_path: Path) -> None:
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, "-m", *build], check=True)
    (wheel,) = tmp_path.glob("tokenunet-*.whl")
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tokenunet.io.resources import resource\n"
        "from tokenunet.cli import main\n"
        "print(resource('Atlas'))\n"
        "sys.exit(main(['models', 'verify', 'token_unet_transformer']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(installed)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(installed / "tokenunet" / "Resources" / "Atlas") in run.stdout
    assert str(installed / "tokenunet" / "Resources" / "Models") in run.stdout
