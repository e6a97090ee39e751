"""A pixel's class is the one with the largest value."""

import pytest
import torch

from perpixel.ops.class_ids import class_ids


@pytest.mark.parametrize("num_classes", [1, 2, 21, 256])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_largest_value_wins(num_classes: int, layout: torch.memory_format) -> None:
    values = torch.rand(1, num_classes, 17, 23).to(memory_format=layout)[0]
    assert class_ids(values).dtype == torch.uint8
    assert torch.equal(class_ids(values).long(), values.argmax(0))


def test_of_equals_the_first_wins() -> None:
    assert class_ids(torch.zeros(5, 40, 30)).max() == 0
