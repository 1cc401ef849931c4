"""The I/O manager behind `slicer.util.load...` and `save...`, called as they call it."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient


def load(host: OffscreenHost, path: Path, **properties: object) -> slicer.vtkMRMLNode | None:
    loaded = vtk.vtkCollection()
    file_type = host.io_manager.fileType(str(path))
    if not host.io_manager.loadNodes(file_type, {"fileName": str(path), **properties}, loaded):
        return None
    return loaded.GetItemAsObject(0)


@pytest.mark.parametrize(
    ("name", "node_class"),
    [("labels.nii.gz", "vtkMRMLScalarVolumeNode"), ("segmentation.seg.nrrd", "vtkMRMLSegmentationNode")],
)
def test_files_become_nodes_of_their_class(host: OffscreenHost, patient: SyntheticPatient, name: str, node_class: str):
    node = load(host, patient.output / name)

    assert node.GetClassName() == node_class
    assert node.GetDisplayNode() is not None


def test_a_volume_may_be_loaded_as_labelmap(host: OffscreenHost, patient: SyntheticPatient):
    node = load(host, patient.output / "labels.nii.gz", labelmap=True)

    assert node.GetClassName() == "vtkMRMLLabelMapVolumeNode"


def test_a_saved_volume_and_a_saved_scene_load_again(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    volume = load(host, patient.inputs["T1ce"])
    voxels = slicer.util.arrayFromVolume(volume).copy()

    saved = tmp_path / "saved.nrrd"
    assert host.io_manager.saveNodes("VolumeFile", {"nodeID": volume.GetID(), "fileName": str(saved)})
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(load(host, saved)), voxels)
    assert host.io_manager.saveNodes("SceneFile", {"fileName": str(tmp_path / "scene.mrb")})
    load(host, tmp_path / "scene.mrb", clear=True)
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 2


@pytest.mark.parametrize("name", ["absent.nii.gz", "what.xyz"])
def test_what_cannot_be_loaded_is_no_node(host: OffscreenHost, tmp_path: Path, name: str):
    assert load(host, tmp_path / name) is None
