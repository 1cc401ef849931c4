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
