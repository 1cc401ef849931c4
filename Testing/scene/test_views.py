"""What the real displayable managers draw, off screen."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from checked_result import build
from numpy.typing import NDArray
from slicer_offscreen import OffscreenHost, SliceView, ThreeDView, views
from synthetic_output import SyntheticPatient
from tokenunet.core.terminology import REGION_STYLES
from TokenUNetSegmentationLib.scene.displays import (
    head_box,
    show_overlay,
    show_overlays_side_by_side,
    show_result,
    show_surfaces,
)
from TokenUNetSegmentationLib.scene.results import PatientResult

GROUPS = ("token_learner", "token_fuser")

pytestmark = pytest.mark.usefixtures("rendering")


@pytest.fixture
def result(host: OffscreenHost, patient: SyntheticPatient) -> PatientResult:
    return build(patient)


@pytest.fixture
def red(host: OffscreenHost, result: PatientResult) -> Iterator[SliceView]:
    """An axial view at the tumor."""
    with closing(SliceView(host, "Red", "Axial", (200, 200))) as view:
        show_result(result)
        view.frame(head_box(result.reference))
        yield view


def colored(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that are not gray."""
    return np.ptp(picture.astype(int), axis=2) > 12


def nearly(picture: NDArray[np.uint8], color: tuple[float, float, float]) -> NDArray[np.bool_]:
    return np.abs(picture - 255 * np.array(color)).max(axis=2) < 30


def test_a_slice_shows_anatomy_in_gray_and_the_tumors_outlines_in_its_colors(red: SliceView, result: PatientResult):
    picture = red.grab()

    assert nearly(picture, REGION_STYLES["WT"].color).sum() > 20
    assert nearly(picture, REGION_STYLES["ET"].color).sum() > 20
    result.segmentation.GetDisplayNode().SetVisibility(False)
    without = red.grab()
    assert not colored(without).any()
    assert (without > 60).mean() > 0.3


def test_each_slice_view_has_jumped_to_the_tumor(host: OffscreenHost, result: PatientResult):
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        with closing(SliceView(host, name, orientation, (120, 120))) as view:
            show_result(result)
            view.fit()
            assert colored(view.grab()).sum() > 30, orientation


@pytest.mark.parametrize("kind", GROUPS)
def test_a_mask_covers_the_anatomy_and_goes_again(red: SliceView, result: PatientResult, kind: str):
    result.segmentation.GetDisplayNode().SetVisibility(False)
    before = red.grab()

    show_overlay(result.overlays(kind)[3])
    shown = red.grab()
    show_overlay(None)

    changed = np.abs(shown.astype(int) - before).max(axis=2) > 12
    assert 0.02 < changed.mean() < 0.9  # somewhere, and the anatomy is seen elsewhere
    assert colored(shown).sum() > 500
    np.testing.assert_array_equal(red.grab(), before)


def test_masks_differ_and_opacity_counts(red: SliceView, result: PatientResult):
    masks = result.overlays("token_learner")
    pictures = []
    for number, opacity in ((1, 0.6), (8, 0.6), (8, 0.1)):
        show_overlay(masks[number], opacity)
        pictures.append(red.grab().astype(int))

    assert np.abs(pictures[0] - pictures[1]).max() > 30
    assert np.abs(pictures[1] - pictures[2]).max() > 30


def test_masks_side_by_side_are_each_in_their_own_view(host: OffscreenHost, result: PatientResult):
    masks = result.overlays("token_learner")
    names = [f"Mask{number}" for number in masks]
    slice_views = [SliceView(host, name, "Axial", (60, 60)) for name in names]

    show_overlays_side_by_side(result, masks.values(), names)

    for view, mask in zip(slice_views, masks.values(), strict=True):
        assert view.layers.GetForegroundVolumeID() == mask.GetID()
        assert view.layers.GetBackgroundVolumeID() == result.reference.GetID()
        view.close()


def test_surfaces_are_translucent_around_a_solid_core(host: OffscreenHost, result: PatientResult):
    with closing(ThreeDView(host, size=(200, 200))) as view:
        empty = view.grab()
        show_surfaces(result)
        view.look_from(slicer.vtkMRMLCameraNode.Anterior)
        picture = view.grab()
        for region in ("TC", "ET"):
            result.segmentation.GetDisplayNode().SetSegmentVisibility3D(region, False)
        without_core = view.grab()
        show_surfaces(result, False)
        hidden = view.grab()

    assert np.abs(picture.astype(int) - empty).max() > 50
    assert np.abs(picture.astype(int) - without_core)[90:110, 90:110].mean() > 20  # the core is seen through the rest
    np.testing.assert_array_equal(hidden, empty)


def test_a_view_takes_over_the_slice_node_of_its_name(host: OffscreenHost):
    with closing(SliceView(host, "Red", "Axial", (50, 50))) as first:
        node = first.node
    with closing(SliceView(host, "Red", "Coronal", (50, 50))) as second:
        assert second.node is node
    assert len(slicer.util.getNodesByClass("vtkMRMLSliceNode")) == 1
    assert len(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")) == 1


def test_a_view_writes_what_it_shows(red: SliceView, tmp_path: Path):
    shown = red.grab(tmp_path / "red.png")

    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "red.png")), shown)


def test_without_opengl_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(views, "_PROBE", "import os; os.abort()")
    views.require_rendering.cache_clear()

    with pytest.raises(views.RenderingUnavailableError) as error:
        views.require_rendering()

    views.require_rendering.cache_clear()
    assert "libegl1 libegl-mesa0 libgl1-mesa-dri" in error.value.hint
    assert error.value.exit_code == 5
