"""What the application does to the scene and says about it in its error log, and slicer-core does not.

Removing a segmentation removes its display node with it; Slicer's debug build reports a node that is removed twice. The
subject hierarchy, a Qt plug-in, observes each segmentation, keeps an item for each segment, and reports events of
segmentations that have no item (any more).
"""

from collections.abc import Callable

import slicer
import vtk

from host.pythonqt import qt_messages

_SEGMENT_ID = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
_LEVEL = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyVirtualBranchAttributeName()


class SceneWatch:
    """Observers of the scene that write to `qt_messages`.

    Args:
        scene: MRML scene whose subject hierarchy is already kept.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        segmentation = slicer.vtkSegmentation
        self._plugin: dict[int, Callable[..., None]] = {
            segmentation.SegmentAdded: self._on_segment,
            segmentation.SegmentRemoved: self._on_segment,
            segmentation.SegmentModified: self._on_segment,
            segmentation.SegmentsOrderModified: self._on_segment,
            slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent: self._on_segment,
        }
        scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._on_removal)
        scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._on_removed)
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._on_addition)
        scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._on_import)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removal(self, scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
        if node.GetScene() is not scene or not scene.IsNodePresent(node):
            _report(f"vtkMRMLScene: RemoveNode: {node.GetClassName()} {node.GetName()} was already removed")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLSegmentationNode") and not scene.IsClosing():
            displays = [
                node.GetNthNodeReferenceID("display", n) for n in range(node.GetNumberOfNodeReferences("display"))
            ]
            for display in filter(None, map(scene.GetNodeByID, displays)):
                scene.RemoveNode(display)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_addition(self, _scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLSegmentationNode"):
            for event, slot in self._plugin.items():
                node.AddObserver(event, slot)
            self._keep_items(node)

    def _on_import(self, *_: object) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self._scene):
            self._keep_items(node)

    def _on_segment(self, node: slicer.vtkMRMLSegmentationNode, _event: str) -> None:
        self._keep_items(node)

    def _keep_items(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Keep one item for each segment below the segmentation's, as `updateAllSegmentsFromMRML` does."""
        if node.GetHideFromEditors() or (node.GetScene() is not None and node.GetScene().IsImporting()):
            return
        hierarchy = self._scene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node)
        if not item:
            _report(f"Unable to find subject hierarchy item for segmentation node {node.GetName()}")
            return
        children = vtk.vtkIdList()
        hierarchy.GetItemChildren(item, children)
        of_segments = {}
        for index in range(children.GetNumberOfIds()):
            child = children.GetId(index)
            if name := hierarchy.GetItemAttribute(child, _SEGMENT_ID):
                of_segments[name] = child
        wanted = node.GetSegmentation().GetSegmentIDs()
        for name in of_segments.keys() - set(wanted):
            hierarchy.RemoveItem(of_segments[name])
        for name in wanted:
            title = node.GetSegmentation().GetSegment(name).GetName()
            if name not in of_segments:
                child = hierarchy.CreateHierarchyItem(item, title, _LEVEL)
                hierarchy.SetItemAttribute(child, _SEGMENT_ID, name)
            elif hierarchy.GetItemName(of_segments[name]) != title:
                hierarchy.SetItemName(of_segments[name], title)


def _report(text: str) -> None:
    qt_messages.append(text)
