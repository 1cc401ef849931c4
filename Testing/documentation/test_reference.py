"""The reference names what there is: commands, presets, extras, exit codes."""

import re
import tomllib
from pathlib import Path

from tokenunet import cli
from tokenunet.core import errors
from tokenunet.training.config.presets import PRESETS

ROOT = Path(__file__).parents[2]


def first_column(page: str) -> set[str]:
    """Return the code or numbers in the first column of a page's tables."""
    rows = re.findall(r"^\| (.+?) \|", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`|^(\d+)$", row)[:9] for name in name if name}


def test_every_command_is_listed() -> None:
    helpers = {"__init__", "batch", "extras", "interruptions", "progress"}
    commands = {file.stem for file in Path(cli.__file__).parent.glob("*.py")} - helpers
    listed = first_column("reference/command-line.md")
    assert {f"tokenunet {name.replace('_', '-')}" for name in commands} <= listed


def test_every_preset_is_listed() -> None:
    assert set(PRESETS) <= first_column("how-to/train.md")


def test_every_extra_is_listed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) <= first_column("how-to/install.md")


def test_every_exit_code_is_listed() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {str(value.exit_code) for value in classes if hasattr(value, "exit_code")}
    assert codes <= first_column("how-to/many-patients.md")
