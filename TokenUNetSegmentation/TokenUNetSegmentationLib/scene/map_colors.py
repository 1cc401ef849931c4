"""Other colours for a patient's masks."""

import slicer

from TokenUNetSegmentationLib.scene.attention_maps import MaskKind, create_colour_table
from TokenUNetSegmentationLib.scene.results import COLOUR_ROLES, PatientResult


def recolour(result: PatientResult, kind: MaskKind, colours: slicer.vtkMRMLColorNode | None) -> None:
    """Gives the masks of a kind the colours of another table; None gives them their own again.

    They are copied into the patient's own table, whose opacities carry the threshold: Slicer's tables stay as they are.
    """
    own = result.segmentation.GetNodeReference(COLOUR_ROLES[kind])
    if own is None:
        return
    source = create_colour_table(kind) if colours is None else colours
    was_modifying = own.StartModify()
    last, last_of_source = own.GetNumberOfColors() - 1, source.GetNumberOfColors() - 1
    rgba = [0.0, 0.0, 0.0, 0.0]
    for index in range(last + 1):
        opacity = own.GetLookupTable().GetTableValue(index)[3]
        source.GetColor(round(index / last * last_of_source), rgba)
        own.SetColor(index, *rgba[:3], opacity)
    own.EndModify(was_modifying)
    if colours is None:
        slicer.mrmlScene.RemoveNode(source)
