"""DecoupledNet against 002_train_seg_Full_anno.prototxt and DecoupledNet_inference.m."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.errors import UsageError
from perpixel.models.decouplednet import DecoupledNet, aggregate

NARROW = 1 / 16


def narrow(**options: object) -> DecoupledNet:
    torch.manual_seed(0)
    return DecoupledNet(4, width=NARROW, **{"input_size": 0, **options}).eval()  # type: ignore[arg-type]


def believing(network: DecoupledNet, *logits: float) -> DecoupledNet:
    """Let the classifier say the same of every image."""
    network.classifier.score.weight.data.mul_(1e-3)
    network.classifier.score.bias.data.copy_(torch.tensor(logits))
    return network


def size(*networks: nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def test_its_parts_have_the_parameters_of_the_release() -> None:
    with torch.device("meta"):
        network = DecoupledNet(21)
    assert size(network.classifier) == 134_342_484
    assert size(network.bridge, network.decoder) == 173_107_906
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 18  # two on what is concatenated, sixteen after convolutions


def test_at_320_pixels_the_bridge_has_the_released_sizes() -> None:
    sizes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        network = DecoupledNet(21)
        for name, layer in [*network.bridge.named_modules(), *network.decoder.named_modules()]:
            layer.register_forward_hook(lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
        logits = network.segment(torch.empty(1, 3, 320, 320), torch.empty(1, 20))
    assert sizes["layers.fc6_seg"] == sizes["layers.fc7_seg"] == (2048, 4, 4)
    assert sizes["layers.fc6_deconv"] == (512, 10, 10)
    ends = ("stage5.deconv5_3", "stage4.deconv4_3", "stage3.deconv3_3", "stage2.deconv2_2", "stage1.deconv1_2")
    assert [sizes[f"stages.{end}"] for end in ends] == [
        (512, 20, 20), (256, 40, 40), (128, 80, 80), (64, 160, 160), (64, 320, 320),
    ]  # fmt: skip
    assert logits.shape == (1, 2, 320, 320)


def test_prediction_makes_a_pass_for_each_identified_label_and_one_for_the_background() -> None:
    network = believing(narrow(), 2.0, -2.0, 1.0)
    image = torch.randn(1, 3, 64, 64)
    passes: list[Tensor] = []
    network.bridge.register_forward_hook(lambda _, inputs, __: passes.append(inputs[1]))
    logits = network(image)
    assert len(passes) == 3
    probabilities = logits.softmax(1)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 64, 64))
    assert (probabilities[:, 2] < 1e-5).all()  # the label that was not identified


def test_prediction_is_put_together_as_released() -> None:
    """Belief times label in each pass, background from the pass of all, normalised."""
    network = believing(narrow(), 2.0, -2.0, 1.0)
    image = torch.randn(1, 3, 64, 64)
    reading = network.classifier.read(image)
    belief = reading.scores.mean((2, 3)).sigmoid()
    vectors = [belief * torch.tensor([chosen]) for chosen in ([1, 0, 1], [1, 0, 0], [0, 0, 1])]
    together, first, third = (network.decode(reading, vector).softmax(1)[:, :1] for vector in vectors)
    maps = torch.cat((together, 1 - first, torch.zeros_like(first), 1 - third), 1)
    expected = (maps / maps.sum(1, keepdim=True)).clamp_min(1e-6).log()
    torch.testing.assert_close(network(image), expected, atol=1e-4, rtol=1e-4)


def test_an_image_without_labels_is_background() -> None:
    network = believing(narrow(), -2.0, -2.0, -2.0)
    assert (network(torch.randn(1, 3, 40, 50)).argmax(1) == 0).all()


def test_the_background_may_be_any_class() -> None:
    network = believing(narrow(background=2), -2.0, -2.0, -2.0)
    assert (network(torch.randn(1, 3, 40, 50)).argmax(1) == 2).all()


def test_without_background_the_likeliest_label_is_taken_where_none_is_identified() -> None:
    network = believing(narrow(background=-1), -3.0, -1.0, -2.0, -2.0)
    assert network.num_labels == 4
    assert (network(torch.randn(1, 3, 40, 50)).argmax(1) == 1).all()


def test_the_threshold_decides_what_is_identified() -> None:
    network = believing(narrow(threshold=0.1), -2.0, -3.0, -4.0)  # 0.12, 0.05, 0.02
    kept = network.identified(network.classify(torch.randn(1, 3, 40, 50)).sigmoid())
    assert kept.tolist() == [[True, False, False]]


def test_where_all_maps_are_silent_every_allowed_class_is_equally_likely() -> None:
    maps = torch.tensor([0.0, 0.0, 0.0, 0.2]).view(1, 4, 1, 1).repeat(1, 1, 1, 2)
    maps[..., 0] = 0
    shares = aggregate(maps, torch.tensor([[True, True, False, True]]))
    torch.testing.assert_close(shares[0, :, 0, 0], torch.tensor([1 / 3, 1 / 3, 0, 1 / 3]))
    torch.testing.assert_close(shares[0, :, 0, 1], torch.tensor([0.0, 0, 0, 1]))


def test_masks_are_learned_with_the_classifier_frozen_and_predicting() -> None:
    network = narrow(encoder="vgg11-bn")
    for parameter in network.classifier.parameters():
        parameter.requires_grad_(False)
    network.train()
    before = {name: value.clone() for name, value in network.classifier.state_dict().items()}
    network.segment(torch.randn(2, 3, 64, 64), torch.eye(3)[:2]).sum().backward()
    assert not network.classifier.training
    assert network.bridge.training
    assert all(torch.equal(value, before[name]) for name, value in network.classifier.state_dict().items())
    assert all(parameter.grad is not None for parameter in network.bridge.parameters())


def test_an_activation_map_counts_however_small_its_values() -> None:
    """Derivatives are small: normalised, a map and a thousandth of it must look the same."""
    bridge = narrow().bridge.train()
    specific = torch.randn(4, 32, 2, 2) * 0.1
    normalised = bridge.bn_pool5_bp(specific)
    torch.testing.assert_close(bridge.bn_pool5_bp(specific * 1e-3), normalised, atol=0.2, rtol=0)


def test_the_released_square_is_padded_with_black_at_the_right_and_bottom() -> None:
    network = narrow(input_size=64)
    network.black.fill_(-2.0)
    square = network.framed(torch.ones(1, 3, 32, 64))
    assert square.shape == (1, 3, 64, 64)
    assert (square[:, :, :32] == 1).all()
    assert (square[:, :, 32:] == -2).all()


def test_at_its_own_size_the_released_square_changes_nothing() -> None:
    plain, framed = believing(narrow(), 2.0, -2.0, 1.0), believing(narrow(input_size=64), 2.0, -2.0, 1.0)
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(plain(image), framed(image))


def test_the_released_square_gives_maps_of_the_images_size() -> None:
    network = believing(narrow(input_size=64), 2.0, -2.0, 1.0)
    assert network(torch.randn(1, 3, 75, 100)).shape == (1, 4, 75, 100)


@pytest.mark.parametrize("background", [-2, 4])
def test_a_background_that_is_no_class_is_refused(background: int) -> None:
    with pytest.raises(UsageError, match="expected background from 0 to 3, or -1"):
        narrow(background=background)


def test_fewer_stages_give_finer_activation_maps() -> None:
    five, four = narrow(window=3), narrow(window=3, stages=4)
    image, labels = torch.randn(1, 3, 96, 96), torch.eye(3)[:1]
    assert five.activation_map(image, labels).shape[-2:] == (3, 3)
    assert four.activation_map(image, labels).shape[-2:] == (6, 6)
    assert four.segment(image, labels).shape == (1, 2, 96, 96)


@pytest.mark.parametrize("stages", [4, 5])
@pytest.mark.parametrize("encoder", ["resnet18", "alexnet", "googlenet"])
def test_any_encoder_segments_images_of_any_size(encoder: str, stages: int) -> None:
    network = narrow(encoder=encoder, stages=stages, window=3).train()
    for size in ((1, 1), (2, 40), (33, 17), (97, 64)):
        assert network(torch.randn(1, 3, *size)).shape == (1, 4, *size)


def test_every_parameter_takes_part_on_another_encoder() -> None:
    """Switches have no gradient, so that what leads to them alone would have none."""
    network = narrow(encoder="resnet18", window=3).train()
    nn.functional.nll_loss(network(torch.randn(2, 3, 96, 96)), torch.randint(4, (2, 96, 96))).backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_stages_that_the_trunk_has_not_are_refused() -> None:
    with pytest.raises(UsageError, match="expected 1 to 5 stages, got 6"):
        narrow(stages=6)
