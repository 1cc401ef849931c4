"""Which scene `slicer.util` uses while hosts overlap."""

import slicer
from slicer_offscreen import OffscreenHost


def test_slicer_uses_the_host_before_once_a_host_is_closed(host: OffscreenHost) -> None:
    slicer.modules.plots = "set up later"
    node = host.scene.AddNewNodeByClass("vtkMRMLTextNode", "note")
    with OffscreenHost() as other:
        assert slicer.mrmlScene is other.scene
        assert not slicer.util.getNodesByClass("vtkMRMLTextNode")

    assert slicer.mrmlScene is host.scene
    assert slicer.util.getNode("note") is node
    assert slicer.modules.plots == "set up later"
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    assert factory.GetMRMLApplicationLogic() is host.app_logic
