"""The examples of CONTRIBUTING.md do what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import host
import numpy as np
import pytest
import torch
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import Prediction
from tokenunet.inference import overlays
from tokenunet.preprocessing import Prepared

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(heading: str) -> str:
    """Return the Python block of a section."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    match = re.search(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert match, f"no example below {heading!r}"
    return match[1]


def names_of(heading: str) -> dict[str, Any]:
    """Return the names that an example defines."""
    names: dict[str, Any] = {}
    exec(compile(example(heading), heading, "exec"), names)
    return names


def test_network_is_listed(tmp_path: Path) -> None:
    (tmp_path / "pocket_unet.py").write_text(example("Add a network"))
    run = subprocess.run(
        [sys.executable, "-m", "tokenunet", "networks"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TOKENUNET_NETWORKS": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "pocket_unet" in run.stdout


def test_overlay_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    brain = np.ones((2, 3, 4), bool)
    prepared = Prepared(torch.zeros(4, 2, 3, 4), brain, grid, grid, {}, ())
    monkeypatch.setattr(overlays, "_registered", {})
    monkeypatch.setenv("TOKENUNET_OVERLAYS", "absent")
    names_of("Add an overlay")
    prediction = Prediction(np.full((3, 2, 3, 4), 0.5, np.float32))
    (overlay,) = overlays.with_overlays(prediction, prepared).overlays
    np.testing.assert_allclose(overlay.array, 1)
    assert overlays.grouped([overlay])[0].title == "Tumor entropy"


def test_dataset_layout_is_read(tmp_path: Path) -> None:
    (tmp_path / "seg").mkdir()
    for name in ("A", "B"):
        (tmp_path / "seg" / f"{name}.nii.gz").touch()
    dataset = names_of("Add a dataset layout")["read_folder_per_sequence"](tmp_path)
    assert [case.name for case in dataset.cases] == ["A", "B"]
    assert dataset.cases[0].images["T1ce"].path == tmp_path / "T1ce" / "A.nii.gz"


def test_preset_is_a_configuration() -> None:
    assert names_of("Add a preset")["configuration"].patch_size == (64, 64, 64)


def test_panel_section_displays() -> None:
    host.start()
    import qt

    label = qt.QLabel()
    result = SimpleNamespace(report={"volumes_ml": {"WT": 40, "TC": 20, "ET": 5}})
    names_of("Add a panel section")["EnhancementPanel"](label, lambda: result).show()
    assert label.text == "25 % of the tumor core enhances."
