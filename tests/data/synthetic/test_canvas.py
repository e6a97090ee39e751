"""perpixel.data.synthetic.canvas: colour and class cannot disagree."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.data.synthetic.canvas import CAR, POLE, SKY, Canvas

sides = st.floats(-10, 40)


@settings(deadline=None)
@given(st.lists(st.tuples(sides, sides), min_size=3, max_size=6))
def test_a_pixel_wholly_of_one_colour_has_that_colours_class(points: list[tuple[float, float]]) -> None:
    canvas = Canvas((24, 32))
    canvas.gradient((0, 0, 0), (0, 0, 0), 24)
    canvas.polygon(points, (90, 90, 90), CAR)
    colors, ids = canvas.finish()
    assert (ids[(colors == 90).all(-1)] == CAR).all()
    assert (ids[(colors == 0).all(-1)] == SKY).all()


@settings(deadline=None)
@given(st.floats(5, 20), st.floats(1, 6))
def test_a_bar_is_as_thick_as_asked_for(column: float, width: float) -> None:
    canvas = Canvas((24, 32))
    canvas.bar((column, -5), (column, 40), width, (200, 200, 200), POLE)
    _, ids = canvas.finish()
    assert abs((ids[12] == POLE).sum() - width) <= 1.5  # PIL fills the edges of a polygon too


def test_recolouring_leaves_the_class() -> None:
    canvas = Canvas((20, 20))
    canvas.polygon([(0, 0), (20, 0), (20, 20), (0, 20)], (100, 100, 100), CAR)
    canvas.shade_ellipse((10, 10), (6, 6), 0.9)
    canvas.glow((3, 3), 5, (255, 255, 255), 0.5)
    colors, ids = canvas.finish()
    assert (ids == CAR).all()
    assert len(np.unique(colors)) > 1


def test_what_is_drawn_later_covers_what_was_drawn_before() -> None:
    canvas = Canvas((20, 20))
    for color, label in (((10, 10, 10), CAR), ((20, 20, 20), POLE)):
        canvas.ellipse((10, 10), (8, 8), color, label)
    colors, ids = canvas.finish()
    assert ids[10, 10] == POLE
    assert colors[10, 10].tolist() == [20, 20, 20]
    assert CAR not in ids
