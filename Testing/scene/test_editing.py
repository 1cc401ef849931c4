"""Regions after a correction."""

import numpy as np
from TokenUNetSegmentationLib.scene.editing import nested_after_edit


def test_nested_after_edit_adds_outwards_and_takes_inwards() -> None:
    before = np.zeros((3, 1, 1, 6), bool)
    before[0, ..., :4], before[1, ..., :3], before[2, ..., :2] = True, True, True
    added, removed = before.copy(), before.copy()
    added[2, ..., 5] = True
    removed[0, ..., 0] = False

    np.testing.assert_array_equal(nested_after_edit(before, before), before)
    assert nested_after_edit(before, added)[..., 5].all()
    assert not nested_after_edit(before, removed)[..., 0].any()
    np.testing.assert_array_equal(nested_after_edit(before, removed)[..., 1:], before[..., 1:])


def test_nested_after_edit_follows_the_edited_region_in_any_voxel() -> None:
    """Every state of a voxel before, and every single change of it."""
    states = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
    for state in states:
        for region in range(3):
            edited = list(state)
            edited[region] = 1 - edited[region]
            added = bool(edited[region])
            expected = [
                value or (added and index <= region) if added else value and index < region
                for index, value in enumerate(state)
            ]
            arrays = (np.array(values, bool).reshape(3, 1, 1, 1) for values in (state, edited))
            assert nested_after_edit(*arrays).ravel().tolist() == [bool(v) for v in expected], (state, edited)
