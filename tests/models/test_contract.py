"""What every network of the catalogue keeps to."""

import inspect

import pytest
import torch
from torch import nn

from perpixel.models.catalog import MODELS, build

SIZES = [(1, 1), (2, 2), (3, 3), (5, 5), (17, 17), (31, 31), (33, 33), (97, 141), (100, 75), (1, 40)]
NARROW = 1 / 16

every_network = pytest.mark.parametrize("name", MODELS)


def noise(name: str, number: int, *size: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return images of random pixels, with the channels that the network takes."""
    return torch.randn(number, MODELS[name].in_channels, *size, dtype=dtype)


def scored(network: nn.Module) -> nn.Module:
    """Give zero-initialised score layers weights, so that gradients reach everything below."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            layer.weight.data.normal_(std=0.1, generator=generator)
    return network


@every_network
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_one_image_of_any_size_trains(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = scored(build(name, num_classes=4, width=NARROW)).train()
    logits = network(noise(name, 1, *size))
    assert logits.shape == (1, 4, *size)
    nn.functional.cross_entropy(logits, torch.zeros(1, *size, dtype=torch.int64)).backward()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name


@every_network
@pytest.mark.parametrize("size", [(333, 275), (500, 375)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_photo_is_labelled_whole(name: str, size: tuple[int, int]) -> None:
    network = scored(build(name, num_classes=4, width=NARROW)).eval()
    with torch.inference_mode():
        logits = network(noise(name, 1, *size))
    assert logits.shape == (1, 4, *size)
    assert logits.isfinite().all()


@every_network
def test_every_parameter_takes_part(name: str) -> None:
    """A layer that is built but not used, or cut off by mistake, has a gradient of exactly zero."""
    torch.manual_seed(0)
    network = scored(build(name, num_classes=4, width=NARROW)).train()
    image, target = noise(name, 2, 64, 64), torch.randint(4, (2, 64, 64))
    nn.functional.cross_entropy(network(image), target).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad.any(), parameter_name


@every_network
@pytest.mark.parametrize(("num_classes", "in_channels"), [(1, 3), (2, 1), (33, 4)])
def test_classes_and_channels_are_as_asked(name: str, num_classes: int, in_channels: int) -> None:
    channels = in_channels + MODELS[name].in_channels - 3  # late fusion's depth is beside the colours
    network = build(name, num_classes=num_classes, in_channels=channels, width=NARROW).eval()
    with torch.inference_mode():
        assert network(torch.randn(2, channels, 20, 27)).shape == (2, num_classes, 20, 27)


@every_network
def test_a_state_dict_holds_everything(name: str) -> None:
    torch.manual_seed(0)
    first, second = scored(build(name, 4, width=NARROW)), build(name, 4, width=NARROW)
    image = noise(name, 2, 37, 41)
    first.train()(image)  # moves the running statistics
    second.load_state_dict(first.state_dict(), strict=True)
    with torch.inference_mode():
        assert torch.equal(first.eval()(image), second.eval()(image))


@every_network
def test_one_image_in_a_batch_does_not_see_the_others(name: str) -> None:
    torch.manual_seed(0)
    network = scored(build(name, 4, width=NARROW)).eval().double()  # residual streams magnify float32's rounding
    images = noise(name, 2, 33, 35, dtype=torch.float64)
    with torch.inference_mode():
        together, alone = network(images), network(images[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-8, rtol=1e-8)


@every_network
def test_memory_format_and_autocast_change_nothing_but_rounding(name: str) -> None:
    torch.manual_seed(0)
    network = scored(build(name, 4, width=NARROW)).eval().double()
    image = noise(name, 1, 33, 35, dtype=torch.float64)
    with torch.inference_mode():
        plain = network(image)
        last = network.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16):
            halved = network.float()(image.float())
    torch.testing.assert_close(last, plain, atol=1e-8, rtol=1e-8)
    assert halved.shape == plain.shape
    assert halved.isfinite().all()


@every_network
def test_the_width_reaches_every_hidden_layer(name: str) -> None:
    with torch.device("meta"):
        whole, half = build(name, 4), build(name, 4, width=0.5)
    for (layer, wide), narrow in zip(whole.named_parameters(), half.parameters(), strict=True):
        shapes = zip(wide.shape[:2], narrow.shape[:2], strict=True)
        for channels, half_channels in shapes:
            narrower = (channels, channels // 2) if channels <= 4 or "score" in layer else (channels // 2,)
            assert half_channels in narrower, layer


@every_network
def test_one_export_serves_every_size(name: str) -> None:
    torch.manual_seed(0)
    network = scored(build(name, 4, width=NARROW)).eval()
    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(network, (noise(name, 2, 45, 61),), dynamic_shapes=(free,)).module()
    for shape in ((1, 64, 96), (2, 37, 53), (3, 97, 141)):
        image = noise(name, *shape)
        with torch.inference_mode():
            torch.testing.assert_close(exported(image), network(image), atol=1e-5, rtol=1e-4)


@every_network
def test_two_images_are_learned(name: str) -> None:
    """Bright and dark halves, from scratch, in forty updates."""
    torch.manual_seed(0)
    padded = name.startswith("fcn") and "padding" in inspect.signature(MODELS[name].network).parameters
    fresh = {"input_size": 64, "feature_scale": 1.0, "batch_norm": True} if name == "transfernet" else {}
    options = {"padding": 1} if padded else fresh
    network = build(name, 2, width=1 / 8, **options).train()
    target = torch.zeros(2, 32, 40, dtype=torch.int64)
    target[0, :, 20:], target[1, :16] = 1, 1
    image = (2.0 * target - 1)[:, None] + 0.3 * noise(name, 2, 32, 40)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(image), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
