"""Nodes and subject hierarchy items of the scene."""

import slicer
import vtk


def subject_hierarchy() -> slicer.vtkMRMLSubjectHierarchyNode:
    """Return the scene's subject hierarchy node."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def child_items(item: int, recursive: bool = False) -> list[int]:
    """Return the children of a subject hierarchy item."""
    ids = vtk.vtkIdList()
    subject_hierarchy().GetItemChildren(item, ids, recursive)
    return [ids.GetId(i) for i in range(ids.GetNumberOfIds())]


def display_node(node: slicer.vtkMRMLDisplayableNode) -> slicer.vtkMRMLDisplayNode:
    """Return the display node of a node in the scene; a new one if the user or *Undo* has removed it.

    That of a volume has colors, gray ones if its own color table was removed.
    """
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if node.IsA("vtkMRMLScalarVolumeNode") and display.GetColorNode() is None:
        display.SetDefaultColorMap()
    return display


def remove_node(node: slicer.vtkMRMLNode) -> None:
    """Remove a node from the scene together with its display and storage nodes, which would be left unused."""
    belongings = [node]
    if node.IsA("vtkMRMLDisplayableNode"):
        belongings += [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        belongings += [node.GetNthStorageNode(i) for i in range(node.GetNumberOfStorageNodes())]
    for belonging in belongings:
        if belonging is not None and belonging.GetScene() is not None:  # removing a node may remove its display node
            slicer.mrmlScene.RemoveNode(belonging)
