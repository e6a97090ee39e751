"""perpixel.losses.class_balance: weights from counts, against published ones."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.losses.class_balance import class_weights

# CamVid's training split at 360×480: pixels and images of sky, building, pole, road, pavement, tree,
# sign, fence, car, pedestrian, bicyclist, void. alexgkendall/caffe-segnet, issue 37.
PIXELS = (
    10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967, 2503995,
)  # fmt: skip
IMAGES = (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201, 367)
SHOWN = tuple(images * 360 * 480 for images in IMAGES)

# SegNet-Tutorial, Models/segnet_train.prototxt.
SEGNET = (0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614)


def test_the_counts_are_all_of_camvid() -> None:
    assert sum(PIXELS) == 367 * 360 * 480


def test_camvids_weights_follow_from_its_counts() -> None:
    """The median is taken over twelve classes, the unlabelled one among them."""
    expected = (
        0.2565,
        0.1853,
        4.3963,
        0.1369,
        0.9185,
        0.3873,
        3.5331,
        1.8127,
        0.7246,
        5.8550,
        8.1365,
        1.0974,
    )
    assert class_weights("median-frequency", PIXELS, SHOWN) == pytest.approx(expected, abs=5e-5)


def test_segnets_published_weights_are_near_ours_but_for_the_sign() -> None:
    """9.6446 does not follow from the formula; every other weight does within 11 %."""
    ours = class_weights("median-frequency", PIXELS, SHOWN)
    ratios = [published / computed for published, computed in zip(SEGNET, ours[:11], strict=True)]
    assert ratios[6] == pytest.approx(2.73, abs=0.005)
    assert all(0.9 < ratio < 1.11 for i, ratio in enumerate(ratios) if i != 6)


def test_the_median_class_of_an_odd_number_weighs_one() -> None:
    weights = class_weights("median-frequency", PIXELS[:11], SHOWN[:11])
    assert weights[4] == 1  # pavement


def test_an_even_number_of_classes_takes_the_mean_of_the_middle_two() -> None:
    assert class_weights("median-frequency", (10, 30), (100, 100)) == pytest.approx((2, 2 / 3))


def test_enet_bounds_its_weights_between_1_42_and_50_5() -> None:
    """1 / ln(2.02) and 1 / ln(1.02)."""
    assert class_weights("enet", (10**9, 1), (10**9 + 1, 10**9 + 1)) == pytest.approx((1.4223, 50.498), abs=1e-3)


def test_the_root_of_enets_weights_keeps_their_order_and_takes_the_root_of_their_ratios() -> None:
    weights = class_weights("enet-root", PIXELS, SHOWN)
    assert weights == pytest.approx([math.sqrt(weight) for weight in class_weights("enet", PIXELS, SHOWN)])


def test_enets_formula() -> None:
    assert class_weights("enet", (25, 75), (100, 100)) == pytest.approx((1 / math.log(1.27), 1 / math.log(1.77)))


def test_none_weighs_all_alike() -> None:
    assert class_weights("none", (5, 0), (9, 0)) == (1, 1)


@pytest.mark.parametrize("rule", ["median-frequency", "enet"])
def test_a_class_without_pixels_weighs_nothing_and_moves_no_other(rule: str) -> None:
    with_absent = class_weights(rule, (10, 0, 30), (100, 0, 100))  # type: ignore[arg-type]
    assert with_absent[1] == 0
    assert with_absent[::2] == class_weights(rule, (10, 30), (100, 100))  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["median-frequency", "enet"])
def test_a_split_without_labels_weighs_nothing(rule: str) -> None:
    assert class_weights(rule, (0, 0), (0, 0)) == (0, 0)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.integers(2, 100))
def test_median_frequency_does_not_depend_on_the_size_of_the_data_set(counts: list[int], times: int) -> None:
    shown = [sum(counts)] * len(counts)
    bigger = class_weights("median-frequency", [n * times for n in counts], [n * times for n in shown])
    assert bigger == pytest.approx(class_weights("median-frequency", counts, shown))


def test_more_pixels_of_a_class_than_its_images_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="class 1 to have at most the 9 pixels"):
        class_weights("enet", (5, 10), (9, 9))


def test_counts_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="as many image counts as pixel counts, got 1 and 2"):
        class_weights("enet", (5, 5), (9,))


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="none, median-frequency, enet, enet-root, got 'inverse'"):
        class_weights("inverse", (5,), (9,))  # type: ignore[arg-type]
