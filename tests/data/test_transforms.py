"""perpixel.data.transforms: image and target move together."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from perpixel.data.appearance import vary_gamma
from perpixel.data.masks import IGNORE
from perpixel.data.transforms import (
    Augmentation,
    augment,
    draw_view,
    from_albumentations,
    shift_contents,
)
from perpixel.errors import UsageError

STILL = Augmentation(flip=0)
GAMMA = Augmentation(flip=0, gamma=0.05)
BEFORE = Augmentation(scale=(0.5, 2), vertical_flip=0.5, rotate=30, elastic=3, color=0.5, blur=1, noise=0.05)
EVERYTHING = BEFORE.model_copy(update={"gamma": 0.05, "shift": 20, "transpose": 0.5})


def sample(
    height: int = 40, width: int = 60, channels: int = 3, dtype: type = np.uint8, seed: int = 0
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)
    return pixels, rng.integers(0, 5, (height, width), dtype=np.uint8)


def smooth(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make an image whose grey level says its own class: 40 times the id, in blocks of 16 pixels."""
    target = (np.indices((height, width)) // 16).sum(0).astype(np.uint8) % 6
    return (target * 40)[..., None], target


def test_nothing_varied_and_no_crop_returns_the_sample() -> None:
    pixels, target = sample()
    shown, crop = augment(pixels, target, None, STILL, np.random.default_rng(0))
    assert np.array_equal(shown, pixels)
    assert np.array_equal(crop, target)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    crop=st.none() | st.tuples(st.integers(1, 60), st.integers(1, 60)),
    channels=st.sampled_from([1, 2, 3, 4, 6]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_any_sample_gives_a_crop_of_the_size_and_type_asked_for(
    seed: int, height: int, width: int, crop: tuple[int, int] | None, channels: int, dtype: type
) -> None:
    pixels, target = sample(height, width, channels, dtype, seed)
    shown, ids = augment(pixels, target, crop, EVERYTHING, np.random.default_rng(seed))
    size = crop or (height, width)
    assert shown.shape == (*size, channels)
    assert shown.dtype == dtype
    assert ids.shape == size
    assert ids.dtype == np.uint8
    assert set(np.unique(ids)) <= {*np.unique(target), IGNORE}
    assert shown.flags.c_contiguous
    assert ids.flags.c_contiguous


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_same_generator_gives_the_same_view(seed: int) -> None:
    pixels, target = sample()
    first, second = (augment(pixels, target, (30, 30), EVERYTHING, np.random.default_rng(seed)) for _ in "ab")
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rotate=st.sampled_from([0, 20, 180]),
    elastic=st.sampled_from([0, 3]),
    flips=st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1)]),
)
@example(seed=20794, rotate=0, elastic=0, flips=(0, 0))
@example(seed=341, rotate=0, elastic=3, flips=(0, 0))
def test_pixels_and_target_stay_aligned(seed: int, rotate: float, elastic: float, flips: tuple[int, int]) -> None:
    """Each grey level says its class; away from borders between classes the two must agree."""
    pixels, target = smooth(96, 128)
    options = Augmentation(scale=(0.7, 2), rotate=rotate, elastic=elastic, flip=flips[0], vertical_flip=flips[1])
    shown, crop = augment(pixels, target, (80, 90), options, np.random.default_rng(seed), fill=[77])
    inside = crop != IGNORE
    assert (shown[..., 0][~inside] == 77).all()
    agrees = np.rint(shown[..., 0] / 40) == crop
    assert agrees[inside].mean() > 0.85  # bilinear values between two classes may say a third
    middle = np.zeros_like(inside)  # a border may run just outside the crop, so its frame says nothing
    middle[3:-3, 3:-3] = inside[3:-3, 3:-3]
    for shift in itertools.product(range(-3, 4), repeat=2):
        middle &= np.roll(crop, shift, (0, 1)) == crop
    assert agrees[middle].all()


def test_transposing_exchanges_rows_and_columns_of_all_that_is_seen() -> None:
    """The transposed view of an image is the view of the transposed image, its corner transposed too."""
    pixels, target = smooth(96, 96)
    options = Augmentation(scale=(0.7, 2), rotate=30, elastic=3, flip=0.5, vertical_flip=0.5, transpose=1)
    for seed in range(5):
        view = draw_view((96, 96), (50, 70), options, np.random.default_rng(seed))
        assert view.transposed
        shown, crop = augment(pixels, target, (50, 70), STILL, np.random.default_rng(0), fill=[77], view=view)
        lying = replace(view, transposed=False)
        as_it_lies, ids = augment(pixels, target, (70, 50), STILL, np.random.default_rng(0), fill=[77], view=lying)
        assert np.array_equal(shown, as_it_lies.swapaxes(0, 1))
        assert np.array_equal(crop, ids.T)


def test_mirrors_and_transposing_lay_a_square_in_all_eight_ways() -> None:
    pixels, target = sample(20, 20)
    options = Augmentation(flip=0.5, vertical_flip=0.5, transpose=0.5)
    seen = {augment(pixels, target, None, options, np.random.default_rng(seed))[1].tobytes() for seed in range(60)}
    ways = {np.ascontiguousarray(np.rot90(side, turns)).tobytes() for side in (target, target.T) for turns in range(4)}
    assert seen == ways


def test_whole_images_that_are_not_square_are_never_transposed() -> None:
    pixels, target = sample(20, 30)
    _, crop = augment(pixels, target, None, Augmentation(flip=0, transpose=1), np.random.default_rng(0))
    assert np.array_equal(crop, target)


def test_eight_and_sixteen_bits_agree() -> None:
    pixels, target = sample()
    options = Augmentation(scale=(0.5, 2), rotate=15)
    for seed in range(5):
        small, _ = augment(pixels, target, (30, 40), options, np.random.default_rng(seed))
        large, _ = augment(pixels.astype(np.uint16) * 257, target, (30, 40), options, np.random.default_rng(seed))
        assert np.abs(large / 257 - small).max() <= 2


def test_channels_are_varied_alike_whatever_their_number() -> None:
    pixels, target = sample(channels=3)
    options = Augmentation(scale=(0.5, 2), rotate=15)
    three, _ = augment(pixels, target, (30, 40), options, np.random.default_rng(3))
    six, _ = augment(np.concatenate([pixels, pixels], 2), target, (30, 40), options, np.random.default_rng(3))
    assert np.abs(six.astype(int) - np.concatenate([three, three], 2)).max() <= 2  # of 255


def test_mirroring_is_certain_at_one() -> None:
    pixels, target = sample()
    shown, crop = augment(pixels, target, None, Augmentation(flip=1), np.random.default_rng(0))
    assert np.array_equal(shown, pixels[:, ::-1])
    assert np.array_equal(crop, target[:, ::-1])


def test_half_of_all_samples_are_mirrored_by_default() -> None:
    rng = np.random.default_rng(0)
    mirrored = [draw_view((8, 8), None, Augmentation(), rng).mirrored for _ in range(2000)]
    assert np.mean([columns for _, columns in mirrored]) == pytest.approx(0.5, abs=0.05)
    assert not any(rows for rows, _ in mirrored)


def test_every_position_of_the_crop_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    rows = [draw_view((10, 10), (7, 7), STILL, rng).corner[0] for _ in range(4000)]
    assert np.bincount(rows, minlength=4) / 4000 == pytest.approx(np.full(4, 0.25), abs=0.04)


def test_outside_a_small_image_is_the_given_mean_and_ignored() -> None:
    pixels, target = sample(10, 12)
    shown, crop = augment(pixels, target, (20, 20), STILL, np.random.default_rng(1), fill=[1.4, 2.6, 3])
    outside = crop == IGNORE
    assert outside.sum() == 400 - 120
    assert (shown[outside] == [1, 3, 3]).all()
    assert np.array_equal(np.sort(shown[~outside].ravel()), np.sort(pixels.ravel()))


def test_outside_is_the_images_own_mean_where_none_is_given() -> None:
    pixels, target = sample(10, 12)
    shown, crop = augment(pixels, target, (20, 20), STILL, np.random.default_rng(1))
    assert (shown[crop == IGNORE] == np.rint(pixels.mean((0, 1)))).all()


# ---- shifts and gamma ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [(0, 0), (3, 5), (-3, 5), (4, -7), (-9, -11), (9, 0), (0, 11)])
def test_a_shift_is_a_crop_and_numpys_reflection(by: tuple[int, int]) -> None:
    """TobyPDE/FRRN, dltools/augmentation.py, TranslationAugmentor: labels that come in are void."""
    pixels, target = sample(20, 24)
    shown, crop = shift_contents(pixels, target, by)
    kept = tuple(slice(max(-step, 0), length - max(step, 0)) for step, length in zip(by, target.shape, strict=True))
    pads = [(max(step, 0), max(-step, 0)) for step in by]
    assert np.array_equal(shown, np.pad(pixels[kept], [*pads, (0, 0)], "reflect"))
    assert np.array_equal(crop, np.pad(target[kept], pads, constant_values=IGNORE))


@given(height=st.integers(1, 9), width=st.integers(1, 9), down=st.integers(-40, 40), right=st.integers(-40, 40))
@settings(deadline=None)
def test_a_shift_further_than_the_crop_is_wide_shows_only_its_mirror_images(
    height: int, width: int, down: int, right: int
) -> None:
    pixels, target = sample(height, width, seed=1)
    shown, crop = shift_contents(pixels, target, (down, right))
    assert shown.shape == pixels.shape
    assert (crop == IGNORE).sum() == height * width - max(0, height - abs(down)) * max(0, width - abs(right))
    assert {tuple(color) for color in shown.reshape(-1, 3)} <= {tuple(color) for color in pixels.reshape(-1, 3)}


def test_every_shift_is_equally_likely() -> None:
    target = np.arange(7, dtype=np.uint8)[None].repeat(7, 0)
    rng = np.random.default_rng(0)
    options = Augmentation(flip=0, shift=2)
    middles = [augment(target[..., None], target, None, options, rng)[1][3, 3] for _ in range(4000)]
    assert np.bincount(middles, minlength=7)[1:6] / 4000 == pytest.approx(np.full(5, 0.2), abs=0.03)


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_gamma_keeps_black_and_white_and_stays_within_its_powers(dtype: type, most: int) -> None:
    """At 0.05 the power is log(1/2 + Z/√2) / log(1/2 - Z/√2): 0.815 to 1.227."""
    pixels = np.array([[[0], [most // 2], [most]]], dtype)
    powers = []
    for seed in range(200):
        shown = augment(pixels, np.zeros((1, 3), np.uint8), None, GAMMA, np.random.default_rng(seed))[0].ravel()
        assert (shown[0], shown[2]) == (0, most)
        powers.append(np.log(shown[1] / most) / np.log((most // 2) / most))
    assert min(powers) == pytest.approx(0.815, abs=0.02)
    assert max(powers) == pytest.approx(1.227, abs=0.02)
    assert np.median(powers) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("options", [STILL, BEFORE])
def test_gamma_and_shifts_change_nothing_else_that_is_drawn(options: Augmentation) -> None:
    """Without them the view and the colours are those of before they were there; with them, the same shifted."""
    pixels, target = sample()
    for seed in range(5):
        before, ids = augment(pixels, target, (30, 40), options, np.random.default_rng(seed))
        moved = options.model_copy(update={"shift": 6})
        shifts, powers = np.random.default_rng(seed), np.random.default_rng(seed)
        for rng in (shifts, powers):
            augment(pixels, target, (30, 40), options, rng)
        down, right = shifts.integers(-6, 7, 2)
        shown, shifted = augment(pixels, target, (30, 40), moved, np.random.default_rng(seed))
        expected = shift_contents(before, ids, (int(down), int(right)))
        assert np.array_equal(shown, expected[0])
        assert np.array_equal(shifted, expected[1])
        brighter, same = augment(
            pixels, target, (30, 40), options.model_copy(update={"gamma": 0.05}), np.random.default_rng(seed)
        )
        assert np.array_equal(same, ids)
        expected = np.where((ids == IGNORE)[..., None], before, vary_gamma(before, 0.05, powers))
        assert np.array_equal(brighter, expected)


def test_without_them_nothing_more_is_drawn_than_the_view() -> None:
    """Seven numbers, as before gamma and shifts were there: runs that were begun then go on alike."""
    pixels, target = sample()
    used, seven = np.random.default_rng(0), np.random.default_rng(0)
    augment(pixels, target, (30, 40), STILL, used)
    seven.random(7)
    assert used.random() == seven.random()


def test_an_albumentations_pipeline_is_called_by_its_own_names_and_seeded() -> None:
    class Pipeline:
        seed = -1

        def set_random_seed(self, seed: int) -> None:
            self.seed = seed

        def __call__(self, *, image: NDArray[Any], mask: NDArray[Any]) -> dict[str, Any]:
            return {"image": image[:, ::-1], "mask": mask[:, ::-1].astype(np.int64)}

    pipeline = Pipeline()
    pixels, target = sample()
    shown, crop = from_albumentations(pipeline)(pixels, target, np.random.default_rng(0))
    assert np.array_equal(shown, pixels[:, ::-1])
    assert np.array_equal(crop, target[:, ::-1])
    assert crop.dtype == np.uint8
    assert pipeline.seed == np.random.default_rng(0).integers(2**31)


def test_a_pipeline_may_drop_the_last_axis_of_a_grey_image() -> None:
    pixels, target = sample(channels=1)
    transform = from_albumentations(lambda image, mask: {"image": image[..., 0], "mask": mask})
    assert transform(pixels, target, np.random.default_rng(0))[0].shape == pixels.shape


def test_a_pipeline_that_changes_only_one_of_the_two_is_refused() -> None:
    pixels, target = sample()
    transform = from_albumentations(lambda image, mask: {"image": image[1:], "mask": mask})
    with pytest.raises(UsageError, match=r"size \(39, 60\), got \(40, 60\)"):
        transform(pixels, target, np.random.default_rng(0))


def test_pixels_must_have_channels_last_and_be_integers() -> None:
    _, target = sample()
    for pixels in (np.zeros((40, 60), np.uint8), np.zeros((40, 60, 3), np.float32)):
        with pytest.raises(UsageError, match=r"shape \(H, W, C\) in uint8 or uint16"):
            augment(pixels, target, None, STILL, np.random.default_rng(0))


def test_a_fill_of_the_wrong_length_is_refused() -> None:
    pixels, target = sample()
    with pytest.raises(UsageError, match="fill to hold 3 values, got 1"):
        augment(pixels, target, (99, 99), STILL, np.random.default_rng(0), fill=[5])


@pytest.mark.parametrize(
    "wrong", [{"scale": (2, 1)}, {"scale": (0, 1)}, {"flip": 1.5}, {"colour": 0.2}, {"shift": -1}, {"gamma": 0.8}]
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**wrong)


def test_colour_leaves_the_target_alone_and_changes_the_pixels() -> None:
    pixels, target = sample()
    shown, crop = augment(pixels, target, None, Augmentation(flip=0, color=1), np.random.default_rng(0))
    assert np.array_equal(crop, target)
    assert not np.array_equal(shown, pixels)
