"""Other colors for a patient's masks."""

import slicer

from TokenUNetSegmentationLib.scene.attention_maps import MaskKind, create_color_table
from TokenUNetSegmentationLib.scene.results import COLOR_ROLES, PatientResult


def recolor(result: PatientResult, kind: MaskKind, colors: slicer.vtkMRMLColorNode | None) -> None:
    """Gives the masks of a kind the colors of another table; None gives them their own again.

    They are copied into the patient's own table, whose opacities carry the threshold: Slicer's tables stay as they are.
    """
    own = result.segmentation.GetNodeReference(COLOR_ROLES[kind])
    if own is None:
        return
    source = create_color_table(kind) if colors is None else colors
    was_modifying = own.StartModify()
    last, last_of_source = own.GetNumberOfColors() - 1, source.GetNumberOfColors() - 1
    rgba = [0.0, 0.0, 0.0, 0.0]
    for index in range(last + 1):
        opacity = own.GetLookupTable().GetTableValue(index)[3]
        source.GetColor(round(index / last * last_of_source), rgba)
        own.SetColor(index, *rgba[:3], opacity)
    own.EndModify(was_modifying)
    if colors is None:
        slicer.mrmlScene.RemoveNode(source)
