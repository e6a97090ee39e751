"""The seam score counts where two tiles disagree, by how far both see."""

import json

import torch

from perpixel.inference.seams import BINS, Seams
from perpixel.inference.tiles import blend, spans


def compared(differ: list[int], across: int = 1) -> Seams:
    """Compare an overlap whose columns differ in the given numbers of 100 rows."""
    one = torch.zeros(100, len(differ), dtype=torch.uint8)
    other = torch.stack([(torch.arange(100) < count).byte() for count in differ], 1)
    seams = Seams()
    seams.compare(one if across else one.T, other if across else other.T, across)
    return seams


def test_columns_are_counted_by_their_distance_from_the_nearer_edge() -> None:
    """16 columns: two to each of eight bins, one from each side."""
    for across in (0, 1):
        seams = compared([30, 10, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 0, 0, 0, 50], across)
        assert seams.pixels.tolist() == [200] * BINS
        assert seams.differ.tolist() == [80, 10, 0, 0, 0, 0, 0, 6]
        assert seams.edge == 0.4
        assert seams.blended == 6 / 800
        assert seams.middle == 0.03


def test_narrow_overlaps_lie_as_far_inside_as_they_reach() -> None:
    assert compared([7]).differ.tolist() == [0] * 7 + [7]
    nothing = torch.zeros(5, 0, dtype=torch.uint8)
    seams = Seams()
    seams.compare(nothing, nothing, across=1)
    assert not seams


def test_counts_add_over_images() -> None:
    total = Seams()
    assert not total
    assert total.edge is total.blended is total.middle is total.warning is None
    total += compared([50, 0, 0, 0])
    total += compared([0, 0, 0, 0])
    assert total
    assert total.pixels.sum() == 800
    document = json.loads(json.dumps(total.to_json()))
    assert (document["edge"], document["blended"]) == (None, 0.0)
    assert document["differ"][2] == 50
    assert Seams.from_json(document).to_json() == document


def test_a_warning_asks_for_more_overlap_where_the_middle_does_better() -> None:
    falling = [40] * 4 + [10, 8, 2, 0] + [0, 2, 8, 10] + [40] * 4
    message = compared(falling).warning
    assert message is not None
    assert "disagree on 5.0% of the pixels where they are blended" in message
    assert "(40.0% at their edges, 0.0% in the middle" in message
    assert "Take a larger --overlap" in message


def test_a_constant_few_percents_are_the_networks_own_doubt() -> None:
    """Pooling that falls on other pixels changes labels near borders, whatever the overlap."""
    assert compared([3] * 16).warning is None
    assert compared([0] * 16).warning is None


def test_tiles_that_disagree_everywhere_are_warned_about() -> None:
    assert compared([30] * 16).warning is not None


def test_only_what_depends_on_a_tiles_own_edge_differs() -> None:
    """Labels are wrong in a tile's outermost 2 pixels."""
    picture = (torch.rand(1, 60, 80, generator=torch.Generator().manual_seed(0)) > 0.5).float()

    def compute(rows: slice, columns: slice) -> torch.Tensor:
        tile = picture[:, rows, columns].clone()
        inner = torch.zeros_like(tile, dtype=torch.bool)
        inner[:, 2:-2, 2:-2] = True
        tile = torch.where(inner, tile, 1 - tile)
        return torch.cat([tile, 1 - tile, torch.full_like(tile, 9.0)])  # a third map is no probability

    seams = Seams(num_classes=2)
    list(blend(spans(60, 40, 16), spans(80, 40, 16), compute, seams))
    shares = seams.differ / seams.pixels
    assert (shares[:2] > 0.8).all()  # overlaps are 20 wide: an eighth of their half is 1.25 pixels
    assert not shares[2:].any()
    assert seams.pixels.sum() == 2 * (2 * 40 * 20) + 20 * 80  # between columns, in both rows of tiles; between rows
