import numpy as np
from tokenunet.core.regions import labels_from_regions, regions_from_labels


def test_labels_and_regions_are_each_others_inverse() -> None:
    labels = np.array([0, 1, 2, 4], np.uint8)
    np.testing.assert_array_equal(labels_from_regions(regions_from_labels(labels)), labels)
    np.testing.assert_array_equal(labels_from_regions(regions_from_labels(labels), et_label=3), [0, 1, 2, 3])


def test_enhancing_tumor_may_be_3_or_4() -> None:
    np.testing.assert_array_equal(
        regions_from_labels(np.array([0, 1, 2, 3])), regions_from_labels(np.array([0, 1, 2, 4]))
    )


def test_regions_are_nested() -> None:
    whole, core, enhancing = regions_from_labels(np.array([0, 1, 2, 4]))
    assert whole.tolist() == [False, True, True, True]
    assert core.tolist() == [False, True, False, True]
    assert enhancing.tolist() == [False, False, False, True]
