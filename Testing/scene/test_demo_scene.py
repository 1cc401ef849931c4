"""The program that makes a patient's scene and pictures, run as it is run by ``tokenunet demo``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer_offscreen
from checked_result import check_result
from slicer_offscreen import OffscreenHost
from synthetic_output import NUMBER_OF_MAPS, SyntheticPatient
from TokenUNetSegmentationLib.scene.results import all_results


def run_demo_scene(output: Path, patient: SyntheticPatient) -> tuple[int, list[dict[str, object]]]:
    files = [item for name, path in patient.inputs.items() for item in (f"--{name.lower()}", str(path))]
    source = Path(slicer_offscreen.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-m", "slicer_offscreen.demo_scene", str(output), *files],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(source)},
    )
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.usefixtures("rendering")
def test_the_program_writes_scene_and_pictures_and_tells_of_them(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path
):
    output = tmp_path / "output"
    shutil.copytree(patient.output, output)

    code, events = run_demo_scene(output, patient)

    assert code == 0
    *progress, result = events
    fractions = [event["fraction"] for event in progress]
    assert fractions == sorted(fractions)
    pictures = result["report"]["pictures"]
    groups = [picture["group"] for picture in pictures]
    assert groups == ["slices"] * 3 + ["token_learner"] * 8 + ["token_fuser"] * 8 + ["surface"]
    assert len({picture["file"] for picture in pictures}) == 4 + 2 * NUMBER_OF_MAPS
    for picture in pictures:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(output / picture["file"])).astype(int)
        assert np.ptp(pixels, axis=2).max() > 30, picture
    host.load(output / result["report"]["scene"])
    [loaded] = all_results()
    check_result(loaded, patient)


@pytest.mark.usefixtures("rendering")
def test_an_incomplete_output_folder_is_told_as_an_error_event(patient: SyntheticPatient, tmp_path: Path):
    code, events = run_demo_scene(tmp_path, patient)

    assert code == 3
    assert events[-1]["event"] == "error"
    assert "segmentation.seg.nrrd" in str(events[-1]["message"])
