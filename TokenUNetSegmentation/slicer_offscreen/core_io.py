"""Core I/O manager for `slicer.util.load...` and `save...`, with the real storage nodes."""

from pathlib import Path
from typing import Any

import slicer
import vtk

_TYPES_BY_ENDING = {
    (".mrb", ".mrml"): "SceneFile",
    (".seg.nrrd", ".seg.nhdr"): "SegmentationFile",
    (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"): "VolumeFile",
    (".h5", ".tfm"): "TransformFile",
    (".tsv", ".csv"): "TableFile",
    (".ctbl",): "ColorTableFile",
    (".txt", ".json"): "TextFile",
}
_NODE_CLASSES = {
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
    "TransformFile": ("vtkMRMLTransformNode", "vtkMRMLTransformStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
    "ColorTableFile": ("vtkMRMLColorTableNode", "vtkMRMLColorTableStorageNode"),
    "TextFile": ("vtkMRMLTextNode", "vtkMRMLTextStorageNode"),
}


class CoreIOManager:
    """Reader and writer of nodes and scenes, with the methods of qSlicerCoreIOManager that `slicer.util` calls.

    Args:
        scene: Scene to read into and write from.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene

    def fileType(self, path: str) -> str:
        """Return the type of a file by the ending of its name."""
        name = str(path).lower()
        return next((kind for endings, kind in _TYPES_BY_ENDING.items() if name.endswith(endings)), "NoFile")

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        """Return the file type that a node is written as."""
        return node.GetClassName()

    def loadNodes(
        self, file_type: str, properties: dict[str, Any], loaded: vtk.vtkCollection, _messages: object = None
    ) -> bool:
        """Load a file into the scene.

        Args:
            file_type: Type from `fileType`.
            properties: Properties with ``fileName`` and optionally ``name``, ``labelmap``, ``show`` and ``clear``.
            loaded: Collection to which the loaded node is added.

        Returns:
            Whether it succeeded.
        """
        path = Path(properties["fileName"])
        if file_type == "SceneFile":
            return self._load_scene(path, bool(properties.get("clear", False)))
        if not path.is_file():
            return False
        name = properties.get("name") or path.name.split(".")[0]
        if file_type == "VolumeFile":
            as_labelmap = bool(properties.get("labelmap", False))
            node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, int(as_labelmap))
            if node is not None and properties.get("show", True):
                slicer.util.setSliceViewerLayers(**{"label" if as_labelmap else "background": node})
        elif file_type in _NODE_CLASSES:
            node = self._load_node(path, name, *_NODE_CLASSES[file_type])
        else:
            return False
        if node is None:
            return False
        loaded.AddItem(node)
        return True

    def saveNodes(self, file_type: str, properties: dict[str, Any], _messages: object = None) -> bool:
        """Write a node or the scene to a file.

        Args:
            file_type: ``SceneFile``, or the class of the node.
            properties: Properties with ``fileName`` and, for a node, ``nodeID`` and optionally ``useCompression``.

        Returns:
            Whether it succeeded.
        """
        path = str(properties["fileName"])
        if file_type == "SceneFile":
            if path.endswith(".mrb"):
                return bool(self._scene.WriteToMRB(path))
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(str(Path(path).parent))
            return bool(self._scene.Commit())
        node = self._scene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(properties.get("useCompression", True))
        return bool(storage.WriteData(node))

    def _load_scene(self, path: Path, clear: bool) -> bool:
        if path.suffix == ".mrb":
            return bool(self._scene.ReadFromMRB(str(path), clear))
        self._scene.SetURL(str(path))
        return bool(self._scene.Connect() if clear else self._scene.Import())

    def _load_node(self, path: Path, name: str, node_class: str, storage_class: str) -> slicer.vtkMRMLNode | None:
        storage = self._scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(str(path))
        node = self._scene.AddNewNodeByClass(node_class, self._scene.GenerateUniqueName(name))
        if not storage.ReadData(node):
            self._scene.RemoveNode(node)
            self._scene.RemoveNode(storage)
            return None
        node.SetAndObserveStorageNodeID(storage.GetID())
        if node.IsA("vtkMRMLDisplayableNode"):
            node.CreateDefaultDisplayNodes()
        return node
