"""Deconvolution as adjoint, and as transposed matrix."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from perpixel.ops.deconvolution import convolution_matrix, deconvolution


class Case(NamedTuple):
    kernel: int
    stride: int
    padding: int
    size: tuple[int, int]
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kernel = draw(st.integers(1, 4))
    size = (draw(st.integers(kernel, 8)), draw(st.integers(kernel, 8)))
    return Case(kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2)), size, draw(st.integers(0, 999)))


def random(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return an image, a weight, the convolution of both, and values of the convolution's shape."""
    torch.manual_seed(case.seed)
    image = torch.randn(1, 2, *case.size, dtype=torch.float64)
    weight = torch.randn(3, 2, case.kernel, case.kernel, dtype=torch.float64)
    convolved = functional.conv2d(image, weight, stride=case.stride, padding=case.padding)
    return image, weight, convolved, torch.randn_like(convolved)


@settings(deadline=None, max_examples=25)
@given(cases())
def test_it_is_the_adjoint_of_convolution(case: Case) -> None:
    image, weight, convolved, values = random(case)
    back = deconvolution(values, weight, case.stride, case.padding, case.size)
    assert back.shape == image.shape
    assert torch.allclose((convolved * values).sum(), (image * back).sum(), atol=1e-11, rtol=0)


@settings(deadline=None, max_examples=25)
@given(cases())
def test_one_matrix_convolves_and_its_transpose_deconvolves(case: Case) -> None:
    image, weight, convolved, values = random(case)
    matrix = convolution_matrix(weight, case.size, case.stride, case.padding)
    torch.testing.assert_close(matrix @ image.flatten(), convolved.flatten(), atol=1e-12, rtol=0)
    back = deconvolution(values, weight, case.stride, case.padding, case.size)
    torch.testing.assert_close(matrix.T @ values.flatten(), back.flatten(), atol=1e-12, rtol=0)


def test_the_matrix_knows_dilation() -> None:
    weight, image = torch.randn(1, 1, 3, 3, dtype=torch.float64), torch.randn(1, 1, 7, 8, dtype=torch.float64)
    matrix = convolution_matrix(weight, (7, 8), padding=2, dilation=2)
    convolved = functional.conv2d(image, weight, padding=2, dilation=2)
    torch.testing.assert_close((matrix @ image.flatten()).reshape(convolved.shape), convolved)


def test_it_is_the_gradient_of_convolution() -> None:
    """What back-propagation computes for a convolution's input."""
    image = torch.randn(1, 2, 9, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    convolved = functional.conv2d(image, weight, stride=2)
    values = torch.randn_like(convolved)
    (gradient,) = torch.autograd.grad(convolved, image, values)
    torch.testing.assert_close(deconvolution(values, weight, stride=2, size=(9, 7)), gradient)


def test_it_does_not_undo_values() -> None:
    """Only a convolution whose matrix is orthogonal is undone by its transpose."""
    image, weight = torch.randn(1, 1, 5, 5), torch.ones(1, 1, 2, 2)
    assert not torch.allclose(deconvolution(functional.conv2d(image, weight), weight), image)


def test_a_size_that_no_convolution_left_is_refused() -> None:
    with pytest.raises(ValueError, match=r"deconvolution: expected a size from 5 x 5 to 6 x 6, got 7 x 5\. Give"):
        deconvolution(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 3, 3), stride=2, size=(7, 5))
