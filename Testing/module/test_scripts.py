"""The modules' logic from a script: the examples of docs/how-to/slicer-scripts.md, and what goes wrong."""

import functools
import re
import time
from pathlib import Path
from typing import Any

import host
import pytest
from module.conftest import STANDIN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "slicer-scripts.md"
SEGMENT, TRAIN = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def logic_class(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The Segmentation module's logic, whose runs use the stand-in worker."""
    import slicer
    from TokenUNetSegmentationLib.logic.run import SegmentationRun
    from TokenUNetSegmentationLib.process.worker import WorkerProcess

    def create_run(self: Any, request: Any) -> SegmentationRun:
        worker = functools.partial(WorkerProcess, script=STANDIN)
        return SegmentationRun(request, Path(slicer.app.temporaryPath), worker)

    found = module.python.TokenUNetSegmentationLogic
    monkeypatch.setattr(found, "createRun", create_run)
    return found


def test_documented_script_segments(
    logic_class: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import slicer

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(SEGMENT, PAGE.name, "exec"), names)
    assert "Anna_T1ce tumor ('WT', 'TC', 'ET')" in capsys.readouterr().out
    assert (tmp_path / "tumor.seg.nrrd").exists()
    assert slicer.mrmlScene.IsNodePresent(names["segmentation"])


def test_segment_names_what_is_wrong_and_leaves_the_scene(
    logic_class: Any, volumes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from module.driving import node_ids
    from tokenunet.core.errors import InputError, TokenUNetError, UsageError

    logic, before = logic_class(), node_ids()
    with pytest.raises(InputError, match="selected as"):
        logic.segment(volumes | {"T2": volumes["T1"]})
    with pytest.raises(UsageError, match="not PD"):
        logic.segment(volumes | {"PD": volumes["T1"]})
    monkeypatch.setenv("STANDIN_ERROR", "unusable_image")
    with pytest.raises(TokenUNetError, match="does not cover the brain"):
        logic.segment(volumes)
    assert node_ids() == before


def test_documented_script_trains(module: host.LoadedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process says that there are no patients, which the status hands on."""
    training = host.load_module(PAGE.parents[2] / "TokenUNetTraining" / "TokenUNetTraining.py")
    try:
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        exec(compile(TRAIN, PAGE.name, "exec"), names)
        assert names["status"].running
        end = time.monotonic() + 120
        while (status := names["logic"].status(names["experiment"])).running and time.monotonic() < end:
            time.sleep(0.1)
        assert "patients" in status.problem
        assert not status.finished
    finally:
        training.close()
