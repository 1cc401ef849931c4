"""Selectors that fill themselves, and what they say about their volumes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.errors import UnusableImageError
from tokenunet.study.image_files import read_image

Add = Callable[..., Any]


@pytest.fixture
def add(module: host.LoadedModule, app: Any) -> Add:
    """Adds a volume: name, voxels or shape, spacing."""
    import slicer

    def add_volume(name: str, shape: tuple[int, int, int] = (20, 24, 22), spacing: float = 1.0, **options: Any) -> Any:
        voxels = options.get("voxels")
        if voxels is None:
            axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
            voxels = (sum(axis**2 for axis in axes) < 0.8) * (50 + np.arange(shape[2]))
        matrix = np.diag([-spacing, -spacing, spacing, 1])
        volume = slicer.util.addVolumeFromArray(
            voxels.astype(np.float32), matrix, name, options.get("class_name", "vtkMRMLScalarVolumeNode")
        )
        for attribute, value in options.get("attributes", {}).items():
            volume.SetAttribute(attribute, value)
        app.processEvents()
        return volume

    return add_volume


def selected(module: host.LoadedModule) -> dict[str, str | None]:
    return {name: node and node.GetName() for name, node in module.widget.inputsPanel.inputs().items()}


@pytest.mark.parametrize(
    "names",
    [
        ("BraTS20_001_t1", "BraTS20_001_t1ce", "BraTS20_001_t2", "BraTS20_001_flair"),
        ("BraTS-GLI-1-t1n", "BraTS-GLI-1-t1c", "BraTS-GLI-1-t2w", "BraTS-GLI-1-t2f"),
        ("3: T1 mprage", "7: T1 mprage post Gd", "4: T2 tse", "5: FLAIR"),
    ],
)
def test_names_tell_the_sequences(module: host.LoadedModule, add: Add, names: tuple[str, ...]) -> None:
    for name in reversed(names):
        add(name)
    assert tuple(selected(module).values()) == names
    assert module.widget.inputsPanel.problems() == {}


def test_dicom_tags_tell_what_names_do_not(module: host.LoadedModule, add: Add) -> None:
    descriptions = {"1.1": "AX T1", "1.2": "AX T1", "1.3": "AX T2", "1.4": "AX FLAIR"}
    agents = {"1.2": "GADOVIST"}
    values = {"0008,103E": descriptions, "0018,0010": agents}
    module.widget.inputsPanel._dicom_value = lambda uid, tag: values.get(tag, {}).get(uid, "")
    for number in range(1, 5):
        add(f"Series {number}").SetAttribute("DICOM.instanceUIDs", f"1.{number} 1.{number}.2")
    module.widget.ui.findButton.click()
    assert tuple(selected(module).values()) == ("Series 1", "Series 2", "Series 3", "Series 4")


def test_scanners_words_are_understood_as_on_the_command_line(module: host.LoadedModule, add: Add) -> None:
    """Slicer names a volume of DICOM by the number and description of its series."""
    descriptions = ("t1_mprage pre contrast", "AX T1 FLAIR +C", "t2_tse", "t2_tirm_tra_dark-fluid", "T2* GRE")
    values = {"0008,103E": {f"1.{number}": text for number, text in enumerate(descriptions)}}
    module.widget.inputsPanel._dicom_value = lambda uid, tag: values.get(tag, {}).get(uid, "")
    for number, description in enumerate(descriptions):
        add(f"{number}: {description}").SetAttribute("DICOM.instanceUIDs", f"1.{number}")
    module.widget.ui.findButton.click()
    assert tuple(selected(module).values()) == tuple(f"{n}: {text}" for n, text in enumerate(descriptions[:4]))


def test_tags_are_not_read_again_at_every_move_of_a_slider(module: host.LoadedModule, add: Add) -> None:
    asked: list[str] = []
    module.widget.inputsPanel._dicom_value = lambda uid, tag: asked.append(tag) or ""
    add("T1").SetAttribute("DICOM.instanceUIDs", "1.1")
    module.widget.parameters().overlayOpacity = 0.3
    read = len(asked)
    module.widget.parameters().overlayOpacity = 0.4
    assert len(asked) == read > 0


def test_a_name_that_a_person_gave_counts_more_than_the_series(module: host.LoadedModule, add: Add) -> None:
    values = {"0008,103E": {"1.1": "AX T1"}}
    module.widget.inputsPanel._dicom_value = lambda uid, tag: values.get(tag, {}).get(uid, "")
    add("T1 with Gd").SetAttribute("DICOM.instanceUIDs", "1.1")
    assert selected(module)["T1ce"] == "T1 with Gd"


def test_patients_are_not_mixed(module: host.LoadedModule, add: Add) -> None:
    for patient in ("Anna", "Berta"):
        for sequence in ("t1", "t1ce", "t2", "flair"):
            add(f"{patient}_{sequence}")
    assert set(selected(module).values()) == {f"Anna_{s}" for s in ("t1", "t1ce", "t2", "flair")}, "a selection stays"
    module.widget.ui.findButton.click()
    assert set(selected(module).values()) == {f"Berta_{s}" for s in ("t1", "t1ce", "t2", "flair")}


def test_the_single_volume_left_takes_the_single_place_left(module: host.LoadedModule, add: Add) -> None:
    for name in ("x_t1", "x_t1ce", "x_t2"):
        add(name)
    assert selected(module)["FLAIR"] is None
    add("something else", shape=(20, 24, 10))
    assert selected(module)["FLAIR"] is None, "it lies on another grid"
    add("something new")
    assert selected(module)["FLAIR"] == "something new"


def test_masks_and_labels_are_no_candidates(module: host.LoadedModule, add: Add) -> None:
    add("x_t1", class_name="vtkMRMLLabelMapVolumeNode")
    add("x_t2", attributes={"TokenUNet.MaskKind": "token_learner"})
    module.widget.ui.findButton.click()
    assert set(selected(module).values()) == {None}


def test_lines_say_what_the_volumes_are(module: host.LoadedModule, add: Add) -> None:
    add("x_t1", spacing=1.5)
    rng = np.random.default_rng(0)
    add("x_t2", voxels=rng.normal(100, 10, (20, 24, 22)))
    assert module.widget.inputsPanel.rows["T1"].mark.toolTip == "22 × 24 × 20, 1.5 × 1.5 × 1.5 mm, skull-stripped"  # noqa: RUF001
    assert module.widget.inputsPanel.rows["T2"].mark.toolTip.endswith("with skull")


@pytest.mark.parametrize(
    ("voxels", "problem"),
    [
        (np.ones((1, 24, 22)), "not a 3-D scan"),
        (np.ones((20, 24, 22)), "same value everywhere"),
        (np.full((20, 24, 22), np.nan), "not numbers"),
        (np.full((20, 24, 22), np.inf), "not numbers"),
    ],
)
def test_unusable_volumes_are_refused_with_the_reason(
    module: host.LoadedModule, add: Add, voxels: np.ndarray, problem: str
) -> None:
    for name in ("x_t1", "x_t1ce", "x_t2"):
        add(name)
    add("x_flair", voxels=voxels)
    assert problem in module.widget.inputsPanel.rows["FLAIR"].status.text
    assert problem in module.widget.ui.segmentButton.toolTip
    assert not module.widget.ui.segmentButton.enabled


def test_nan_is_background_or_refused_as_in_files(module: host.LoadedModule, add: Add, tmp_path: Path) -> None:
    """Some programs write NaN around the brain; inside of it, nothing can be done."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in (20, 24, 22)), indexing="ij")
    voxels = np.where(sum(axis**2 for axis in axes) < 0.8, 50.0 + np.arange(22), np.nan)
    import slicer
    from TokenUNetSegmentationLib.scene.volumes import export_volume

    for name in ("x_t1", "x_t1ce", "x_t2"):
        add(name)
    volume = add("x_flair", voxels=voxels)
    row = module.widget.inputsPanel.rows["FLAIR"]
    assert module.widget.inputsPanel.problems() == {}
    assert "skull-stripped" in row.mark.toolTip
    export_volume(volume, tmp_path / "FLAIR.nrrd")
    assert np.isfinite(sitk.GetArrayFromImage(read_image(tmp_path / "FLAIR.nrrd"))).all()
    slicer.util.arrayFromVolume(volume)[10, 12, 11] = np.nan
    slicer.util.arrayFromVolumeModified(volume)
    module.widget.onParametersChanged()
    export_volume(volume, tmp_path / "inside.nrrd")
    with pytest.raises(UnusableImageError, match=r"holds values that are not numbers \(NaN or Inf\)"):
        read_image(tmp_path / "inside.nrrd")
    assert "holds values that are not numbers (NaN or Inf)" in row.status.text


def test_a_volume_in_two_places_is_refused(module: host.LoadedModule, add: Add) -> None:
    for name in ("x_t1", "x_t1ce", "x_t2", "x_flair"):
        volume = add(name)
    module.widget.inputsPanel.rows["T2"].selector.setCurrentNode(volume)
    assert not module.widget.ui.segmentButton.enabled
    assert module.widget.ui.segmentButton.toolTip == "“x_flair” is selected as FLAIR too."
    assert "⚠" in module.widget.inputsPanel.rows["T2"].status.text
    assert "⚠" in module.widget.inputsPanel.rows["FLAIR"].status.text


def test_one_click_swaps(module: host.LoadedModule, add: Add) -> None:
    for name in ("x_t1", "x_t1ce", "x_t2", "x_flair"):
        add(name)
    module.widget.inputsPanel.rows["T1"].swap.click()
    assert selected(module) == {"T1": "x_t1ce", "T1ce": "x_t1", "T2": "x_t2", "FLAIR": "x_flair"}
    assert "The name says T1ce" in module.widget.inputsPanel.rows["T1"].status.text
    module.widget.inputsPanel.rows["T1"].status.linkActivated.emit("T1:T1ce")
    assert selected(module)["T1"] == "x_t1"
    assert "⚠" not in module.widget.inputsPanel.rows["T1"].status.text


def test_choices_survive_saving_and_loading_the_scene(
    module: host.LoadedModule, add: Add, app: Any, tmp_path: Any
) -> None:
    import slicer

    for name in ("x_t1", "x_t1ce", "x_t2", "x_flair"):
        add(name)
    module.widget.inputsPanel.rows["T2"].swap.click()
    module.widget.ui.attentionMapsBox.click()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    app.processEvents()
    assert set(selected(module).values()) == {None}
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    assert selected(module) == {"T1": "x_t1", "T1ce": "x_t1ce", "T2": "x_flair", "FLAIR": "x_t2"}
    assert not module.widget.ui.attentionMapsBox.checked


@pytest.fixture
def contrasts() -> dict[str, np.ndarray]:
    """Four scans whose tissues look as in the four sequences: fluid, gray and white matter, enhancing tumor."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (32, 40, 36)), indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    tissue = np.where(np.hypot(x, z) < 0.25, 0, np.where(np.sin(9 * x) * np.cos(8 * y) > 0, 1, 2))
    tissue[(x - 0.5) ** 2 + y**2 + z**2 < 0.03] = 3
    levels = {
        "T1": (0.28, 0.58, 0.82, 0.5),
        "T1ce": (0.28, 0.58, 0.82, 1.6),
        "T2": (0.95, 0.52, 0.36, 0.7),
        "FLAIR": (0.15, 0.58, 0.48, 0.8),
    }
    noise = rng.normal(0, 0.02, (4, *brain.shape))
    return {
        name: brain * 500 * (np.take(values, tissue) + n)
        for n, (name, values) in zip(noise, levels.items(), strict=True)
    }


def test_looks_tell_what_no_name_does(module: host.LoadedModule, add: Add, contrasts: dict[str, np.ndarray]) -> None:
    for number, name in enumerate(("FLAIR", "T1ce", "T2", "T1")):
        add(f"scan {number}", voxels=contrasts[name], spacing=4.0)
    assert selected(module) == {"T1": "scan 3", "T1ce": "scan 1", "T2": "scan 2", "FLAIR": "scan 0"}
    assert "its name does not say T1" in module.widget.inputsPanel.rows["T1"].mark.toolTip
    assert module.widget.inputsPanel.rows["T1"].mark.text == "?"


def test_looks_that_contradict_the_names_fill_nothing(
    module: host.LoadedModule, add: Add, contrasts: dict[str, np.ndarray]
) -> None:
    add("x_t2", voxels=contrasts["FLAIR"], spacing=4.0)
    add("x_flair", voxels=contrasts["T2"], spacing=4.0)
    for name in ("T1", "T1ce"):
        add("scan", voxels=contrasts[name], spacing=4.0)
    assert selected(module) == {"T1": None, "T1ce": None, "T2": "x_t2", "FLAIR": "x_flair"}


def test_a_volume_that_looks_otherwise_can_be_swapped(
    module: host.LoadedModule, add: Add, contrasts: dict[str, np.ndarray]
) -> None:
    swapped = {"T1": "T1", "T1ce": "T1ce", "T2": "FLAIR", "FLAIR": "T2"}
    for name, content in swapped.items():
        add(f"x_{name}", voxels=contrasts[content], spacing=4.0)
    status = module.widget.inputsPanel.rows["T2"].status.text
    assert "This looks like FLAIR" in status
    assert 'href="T2:FLAIR"' in status
    assert "⚠" not in module.widget.inputsPanel.rows["T1ce"].status.text
    assert module.widget.ui.segmentButton.enabled
