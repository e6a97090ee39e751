"""Drawn objects: exact masks, every kind, several in a picture, the same from the same seed."""

from pathlib import Path

import numpy as np
import pytest

from perpixel.data.dataset import open_dataset
from perpixel.data.synthetic.object_clutter import Place, coated
from perpixel.data.synthetic.object_shapes import KINDS
from perpixel.data.synthetic.objects import CLASSES, OBJECTS, scene, write
from perpixel.errors import UsageError

SIZE = (64, 64)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene((0, index), SIZE) for index in range(40)]


def test_a_picture_and_its_mask_have_the_size_asked_for() -> None:
    pixels, target = scene(3, (33, 50))
    assert (pixels.shape, pixels.dtype) == ((33, 50, 3), np.uint8)
    assert (target.shape, target.dtype) == ((33, 50), np.uint8)


def test_the_same_seed_draws_the_same_and_another_draws_otherwise() -> None:
    (one, target), (same, mask), (other, _) = scene((1, 2), SIZE), scene((1, 2), SIZE), scene((1, 3), SIZE)
    assert (one == same).all()
    assert (target == mask).all()
    assert (one != other).mean() > 0.5


def test_every_kind_occurs_and_pictures_show_several(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shown = [set(np.unique(target)) - {0} for _, target in scenes]
    assert set().union(*shown) == set(range(1, len(CLASSES)))
    assert len(OBJECTS) >= 12
    assert sum(len(ids) > 1 for ids in shown) >= len(scenes) // 2
    assert all(shown), "no picture is empty"


def test_objects_have_many_sizes_and_leave_a_background(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shares = [float((target > 0).mean()) for _, target in scenes]
    assert min(shares) < 0.08
    assert max(shares) > 0.25
    assert 0.1 < float(np.mean(shares)) < 0.4


def test_colour_does_not_tell_objects_from_clutter(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The best threshold on saturation finds them with an IoU far from one."""
    pixels = np.stack([pixels for pixels, _ in scenes]).astype(np.float32)
    objects = np.stack([target for _, target in scenes]) > 0
    saturation = (pixels.max(3) - pixels.min(3)) / np.maximum(pixels.max(3), 1)
    found = [saturation > level for level in np.linspace(0, 1, 21)]
    assert max((f & objects).sum() / (f | objects).sum() for f in found) < 0.5


def test_kinds_can_be_chosen(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    chosen = ("fish", "cup")
    shown = np.unique([scene((0, index), SIZE, chosen)[1] for index in range(6)])
    assert set(shown) == {0, *(CLASSES.index(name) for name in chosen)}
    with pytest.raises(UsageError, match="expected kinds of objects, got \\['dragon'\\]"):
        scene(0, SIZE, ("dragon",))


def test_what_is_written_is_a_data_set_with_tags(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    spec = write(tmp_path, {"train": 3, "val": 1}, SIZE, 5, lambda done, total: steps.append((done, total)))
    data = open_dataset(tmp_path)
    assert data.spec == spec
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [len(data.pairs(split)) for split in ("train", "val")] == [3, 1]
    pixels, target = data.read(data.pairs("val")[0])
    assert (pixels == scene((5, 3), SIZE)[0]).all()
    assert (target == scene((5, 3), SIZE)[1]).all()
    for picture in data.pictures("train"):
        said = data.supervision.tag_file.of(picture.id)
        assert said == tuple(np.flatnonzero(data.tags(picture))), "the file says what the mask shows"
    assert spec.pixel_counts is not None
    assert sum(spec.pixel_counts) == 3 * 64 * 64


@pytest.mark.parametrize("name", OBJECTS)
def test_a_coat_leaves_the_share_that_tells_the_kind_and_part_of_its_pattern(name: str) -> None:
    rng = _generator(6)
    place = Place.draw((96, 96), (48, 48), 30, rng)
    look = KINDS[name].draw(place.u, place.v)
    kept = look.inside & ~coated(place, look, 0.35, rng)
    assert kept.sum() / look.inside.sum() == pytest.approx(0.35, abs=0.02)
    assert (kept & ~look.plain).any()


def test_all_of_an_object_tells_its_kind_unless_asked() -> None:
    pixels, target = scene((2, 3), SIZE)
    assert (pixels == scene((2, 3), SIZE, telling=1.0)[0]).all()
    other, _ = scene((2, 3), SIZE, telling=0.5)
    assert (pixels[target > 0] != other[target > 0]).any()


@pytest.mark.parametrize("telling", [0.0, -0.1, 1.5])
def test_what_tells_is_a_share(telling: float) -> None:
    with pytest.raises(UsageError, match="expected telling above 0 and at most 1"):
        scene(0, SIZE, telling=telling)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
