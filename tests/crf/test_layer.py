"""The CRF as a layer: where it begins, what it learns, what it takes."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from perpixel.crf.layer import DenseCrf
from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.crf.torch_mean_field import mean_field_torch
from perpixel.errors import UsageError

SIZE = (9, 12)


def pixels(count: int = 1, seed: int = 0) -> Tensor:
    """Two flat colours beside each other, with noise."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.full((count, 3, *SIZE), 60.0)
    image[..., 7:] = 190
    return (image + 3 * torch.randn(image.shape, generator=generator)).round().to(torch.uint8)


def logits(count: int = 1, classes: int = 3) -> Tensor:
    return torch.randn(count, classes, *SIZE, generator=torch.Generator().manual_seed(2))


def xy() -> Tensor:
    down, along = torch.meshgrid(*(torch.arange(float(length)) for length in SIZE), indexing="ij")
    return torch.stack((along, down))


def bilateral_features(image: Tensor, xy_std: float = 49, rgb_std: float = 5) -> Tensor:
    return torch.cat((xy() / xy_std, image.float() / rgb_std))


def rows(features: Tensor) -> Tensor:
    return features.flatten(1).T.contiguous()


def test_crf_rnn_has_three_matrices() -> None:
    """torrvision/crfasrnn: spatial, bilateral and compatibility, 21 x 21 each; 3 I, 5 I and −I before training."""
    layer = DenseCrf(21)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 3 * 21**2
    assert torch.equal(layer.weights[0], 3 * torch.eye(21))
    assert torch.equal(layer.weights[1], 5 * torch.eye(21))
    assert layer.compatibility is not None
    assert torch.equal(layer.compatibility, -torch.eye(21))
    assert (layer.iterations, layer.test_iterations) == (5, 10)


@pytest.mark.parametrize("name", PRESETS)
def test_before_learning_it_is_the_plain_crf(name: str) -> None:
    options = PRESETS[name]
    layer = DenseCrf.from_options(3, options).eval()
    assert options.bilateral is not None
    assert options.spatial is not None
    weight, *stds = options.bilateral
    expected = mean_field_torch(
        -logits()[0].flatten(1),
        [rows(xy() / options.spatial[1]), rows(bilateral_features(pixels()[0], *stds))],
        [options.spatial[0], weight],
        None,
        options.iterations,
        options.normalization,
    )
    with torch.inference_mode():
        found = layer(logits(), pixels()).softmax(1)[0].flatten(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_five_iterations_in_training_and_ten_at_test() -> None:
    layer = DenseCrf(3)
    trained = layer.train()(logits(), pixels())
    assert torch.equal(trained, DenseCrf(3, iterations=5, test_iterations=None).eval()(logits(), pixels()))
    assert torch.equal(layer.eval()(logits(), pixels()), DenseCrf(3, iterations=10)(logits(), pixels()))
    assert not torch.equal(layer(logits(), pixels()), trained)


def test_images_of_a_batch_do_not_see_each_other() -> None:
    layer, image, scores = DenseCrf(3).double(), pixels(3), logits(3).double()
    together = layer(scores, image)
    for index in range(3):
        torch.testing.assert_close(together[[index]], layer(scores[[index]], image[[index]]))


def test_labels_follow_the_image() -> None:
    """A class boundary two columns off the image's edge moves to it."""
    image = pixels()
    scores = torch.zeros(1, 2, *SIZE)
    scores[:, 0, :, :5], scores[:, 1, :, 5:] = 1, 1
    refined = DenseCrf(2, bilateral=(6, 8, 20)).eval()(scores, image).argmax(1)
    assert not refined[..., :7].any()
    assert refined[..., 7:].all()


@pytest.mark.parametrize("learned", ["matrix", "class", "scalar"])
def test_gradients_are_exact_in_all_that_is_learned(learned: str) -> None:
    """Numerically, through two iterations, to the logits and every parameter."""
    layer = DenseCrf(2, bilateral=(1.2, 4, 30), iterations=2, learned=learned).double()  # type: ignore[arg-type]
    names, values = zip(*layer.named_parameters(), strict=True)
    image, scores = pixels()[..., :2, 5:9], logits(classes=2)[..., :2, 5:9].double()

    def refine(scores: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (scores, image))

    assert gradcheck(refine, (scores.requires_grad_(), *values))


def test_it_learns_where_its_first_weights_mislead() -> None:
    """A class of single pixels, which smoothing wipes out: training must get it back."""
    torch.manual_seed(0)
    image = torch.full((1, 3, *SIZE), 128, dtype=torch.uint8)
    target = torch.zeros(1, *SIZE, dtype=torch.int64)
    target[0, 2::3, 2::4] = 1
    scores = 2.0 * nn.functional.one_hot(target, 2).permute(0, 3, 1, 2) - 1
    layer = DenseCrf(2, iterations=2, test_iterations=None)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.3)
    assert not layer(scores, image).argmax(1).any()
    for _ in range(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(layer(scores, image), target).backward()
        optimizer.step()
    assert torch.equal(layer(scores, image).argmax(1), target)


def test_any_channels_and_further_features_are_taken() -> None:
    layer = DenseCrf(3, bilateral=(2, 5, 100), spatial=None, extra=(1.5,), learned="scalar")
    grey = pixels().to(torch.int32)[:, :1] * 257  # sixteen bits
    depth = torch.linspace(0, 4, SIZE[1]).expand(1, 1, *SIZE)
    layer(logits(), grey, [depth]).square().sum().backward()
    assert len(layer.weights) == 2
    assert all(weight.grad is not None and weight.grad != 0 for weight in layer.weights)


def test_without_kernels_nothing_changes() -> None:
    layer = DenseCrf(3, bilateral=None, spatial=None, learn_compatibility=False)
    assert torch.equal(layer(logits(), pixels()), logits())


def test_autocast_leaves_it_in_float32() -> None:
    layer = DenseCrf(3).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = layer(logits().bfloat16(), pixels())
    expected = layer(logits().bfloat16().float(), pixels())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0.01)


def test_a_state_dict_holds_everything() -> None:
    first, second = DenseCrf(3, learned="class"), DenseCrf(3, (9, 9, 9), (9, 3), learned="class")
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("scores", "image", "said"),
    [
        (logits(classes=4), pixels(), r"logits of shape \(N, 3, H, W\)"),
        (logits()[..., ::2, ::2], pixels(), "Resize the logits"),
        (logits(), pixels(2), "image of shape"),
        (logits(), torch.full((1, 3, *SIZE), torch.nan), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(scores: Tensor, image: Tensor, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DenseCrf(3)(scores, image)


def test_missing_features_are_named() -> None:
    with pytest.raises(UsageError, match="features for 1 further kernels, got 0"):
        DenseCrf(3, extra=(1.0,))(logits(), pixels())


def test_the_spatial_sum_can_be_exact() -> None:
    """The options' exact filter is the layer's; it differs from the lattice's a little."""
    options = CrfOptions(spatial_filter="gaussian")
    exact, lattice = (DenseCrf.from_options(3, each) for each in (options, options.replace(spatial_filter="lattice")))
    found, near = exact(logits(2), pixels(2)).softmax(1), lattice(logits(2), pixels(2)).softmax(1)
    assert not torch.equal(found, near)
    assert (found - near).abs().mean() < 0.02
    expected = mean_field_torch(
        -logits(2)[1].flatten(1), [rows(bilateral_features(pixels(2)[1]))], [4.0], exact=(*SIZE, 3.0, 3.0)
    )
    torch.testing.assert_close(found[1].flatten(1), expected, atol=1e-5, rtol=1e-4)
