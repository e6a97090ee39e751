"""TransferNet against attention-decoder.prototxt and the formulae of the paper's Sec. 4."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.models.transfernet import TransferNet
from perpixel.models.transfernet_parts import Decoder
from perpixel.ops.labels import foreground

NARROW = 1 / 16


def size(*parts: nn.Module) -> int:
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def small(**options: object) -> TransferNet:
    """A network of four classes that sees 64 x 64 pixels, 4 x 4 cells; features are large enough to tell apart."""
    torch.manual_seed(0)
    settings = {"width": NARROW, "input_size": 64, "feature_scale": 1.0, **options}
    return TransferNet(4, **settings).eval()  # type: ignore[arg-type]


def one_hot(*labels: int, count: int = 3) -> Tensor:
    return nn.functional.one_hot(torch.tensor(labels), count).float()


def test_the_parts_have_their_counts() -> None:
    """attention-decoder.prototxt at 80 labels, counted: of the embeddings' 211.6 million one matrix has 209.7."""
    with torch.device("meta"):
        network = TransferNet(81)
    assert network.attention is not None
    assert size(network.encoder) == 14_714_688
    assert size(network.attention, network.class_head) == 211_562_464
    assert size(network.attention.feature_embed) == 209_716_224 == 512 * 20 * 20 * 1024 + 1024
    assert size(network.decoder) == 7_675_202
    assert size(network) == 233_952_354


def test_maps_at_320_pixels_have_the_released_sizes() -> None:
    network = TransferNet(4, width=NARROW).to("meta")
    sizes: dict[str, tuple[int, ...]] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(
                lambda _, __, output, name=name: sizes.update({name.rsplit(".", 1)[-1]: tuple(output.shape[-2:])})
            )
    image, labels = torch.zeros(1, 3, 320, 320, device="meta"), torch.zeros(1, 3, device="meta")
    attended = network.attend(image, labels)
    assert attended.attention.shape == attended.density.shape == (1, 1, 20, 20)
    assert attended.feature.shape == (1, 32)
    assert network.segment(image, labels).shape == (1, 2, 320, 320)
    expected = {"conv5_3": 20, "deconv5_1": 20, "deconv4_1": 40, "deconv3_3": 80, "deconv2_2": 160, "deconv1_2": 320}
    assert {name: sizes[name] for name in expected} == {name: (side, side) for name, side in expected.items()}


def test_the_decoder_narrows_at_the_end_of_each_stage() -> None:
    """deconv5_1 512; deconv4 512, 512, 256; deconv3 256, 256, 128; deconv2 128, 64; deconv1 64, 64."""
    with torch.device("meta"):
        decoder = TransferNet(81).decoder
    widths = [layer.out_channels for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert widths == [512, 512, 512, 256, 256, 256, 128, 128, 64, 64, 64]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in decoder.modules())


# ---- attention -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"square": False}, {"square": False, "embedding": "convolutional"}])
def test_attention_sums_to_one_and_its_density_is_the_papers(options: dict[str, object]) -> None:
    """Sec. 4.2 and 4.3: z = A α and s = Aᵀ A α."""
    network = small(**options).double()
    image = torch.randn(2, 3, 57, 64, dtype=torch.float64)
    with torch.inference_mode():
        features = network.encode(image).features.flatten(2)
        attended = network.attend(image, one_hot(0, 2))
    alpha = attended.attention.flatten(1)
    torch.testing.assert_close(alpha.sum(1), torch.ones(2, dtype=torch.float64))
    assert (alpha >= 0).all()
    torch.testing.assert_close(attended.feature, torch.einsum("ncp,np->nc", features, alpha))
    gram = features.transpose(1, 2) @ features
    torch.testing.assert_close(attended.density.flatten(1), torch.einsum("npq,nq->np", gram, alpha))


def test_attention_is_the_papers_product_of_embeddings() -> None:
    """Sec. 4.2: v = W_att (W_feat A ⊙ W_label y) + b, and the release's hidden layer between, or not."""
    for combined in (False, True):
        attention = small(combined_embed=combined).attention
        assert attention is not None
        features, labels = torch.rand(2, 32, 4, 4), one_hot(1, 2)
        product = attention.feature_embed(features.reshape(2, -1)) * attention.label_embed(labels)
        if combined:
            product = nn.functional.relu(attention.combined_embed(product))
        expected = nn.functional.softmax(attention.score(product), 1).view(2, 1, 4, 4)
        torch.testing.assert_close(attention(attention.embed(features), labels, (4, 4)), expected)


def test_features_are_scaled_before_all_that_reads_them() -> None:
    """Scale of 0.004: z has the factor once, s twice, where attention is fixed."""
    whole, scaled = (small(attention="uniform", feature_scale=scale) for scale in (1.0, 0.004))
    image = torch.randn(1, 3, 64, 64)
    one, other = whole.attend(image, one_hot(0)), scaled.attend(image, one_hot(0))
    torch.testing.assert_close(other.feature, 0.004 * one.feature)
    torch.testing.assert_close(other.density, 0.004**2 * one.density)
    with torch.device("meta"):
        assert TransferNet(4).feature_scale == 0.004


def test_a_relative_density_is_one_at_its_highest_and_knows_no_scale() -> None:
    """Ours: labels of weak and of strong features look alike to the decoder."""
    plain, relative, fainter = (
        small(attention="uniform", density=density, feature_scale=scale)
        for density, scale in (("product", 1.0), ("relative", 1.0), ("relative", 0.25))
    )
    image = torch.randn(1, 3, 64, 64)
    one, other, faint = (network.attend(image, one_hot(0)) for network in (plain, relative, fainter))
    torch.testing.assert_close(other.density * one.density.max(), one.density)
    torch.testing.assert_close(faint.density, other.density)


def test_the_gradient_of_the_density_is_right() -> None:
    """The release's CPU layer sums absolute values there, as its authors note."""
    network = small(embedding="convolutional", width=0.001).double()
    features = torch.randn(1, network.encoder.channels[-1], 2, 3, dtype=torch.float64, requires_grad=True)

    def density(features: Tensor) -> Tensor:
        assert network.attention is not None
        encoded = network.encode(torch.zeros(1, 3, 16, 16, dtype=torch.float64))
        encoded = encoded._replace(features=features, evidence=network.attention.embed(features))
        return network._attend(encoded, one_hot(1)).density

    assert torch.autograd.gradcheck(density, (features,))


def test_at_the_release_s_size_it_is_the_release_square_or_not() -> None:
    flattened, pooled = small(), small(square=False)
    pooled.load_state_dict(flattened.state_dict())
    image, labels = torch.randn(2, 3, 64, 64), one_hot(0, 1)
    with torch.inference_mode():
        assert torch.equal(flattened.segment(image, labels), pooled.segment(image, labels))
        assert torch.equal(flattened.attend(image, labels).attention, pooled.attend(image, labels).attention)


@pytest.mark.parametrize(("square", "cells"), [(True, (4, 4)), (False, (3, 7))])
@pytest.mark.parametrize("embedding", ["flattened", "convolutional"])
def test_images_are_seen_as_squares_or_as_they_are(embedding: str, square: bool, cells: tuple[int, int]) -> None:
    network = small(embedding=embedding, square=square)
    image = torch.randn(1, 3, 40, 100)
    assert network.attend(image, one_hot(1)).attention.shape[-2:] == cells
    assert network.segment(image, one_hot(1)).shape == (1, 2, 40, 100)


def test_each_cell_is_embedded_by_itself_where_convolutional() -> None:
    """Cells that change places take their attention with them."""
    attention = small(embedding="convolutional").attention
    assert attention is not None
    features, order = torch.rand(1, 32, 2, 3), torch.randperm(6, generator=torch.Generator().manual_seed(1))
    moved = features.flatten(2)[..., order].view_as(features)
    there = attention(attention.embed(features), one_hot(0), (2, 3)).flatten(1)[:, order]
    torch.testing.assert_close(attention(attention.embed(moved), one_hot(0), (2, 3)).flatten(1), there)


def test_without_attention_the_label_changes_nothing_or_lies_in_every_cell() -> None:
    image = torch.randn(2, 3, 64, 64)
    for kind, alike in (("learned", False), ("uniform", True), ("tiled", False)):
        network = small(attention=kind, batch_norm=True)
        maps = [network.segment(image, one_hot(label, label)) for label in (0, 1)]
        assert torch.allclose(*maps) == alike, kind
    assert small(attention="uniform").attention is None


@pytest.mark.parametrize("encoder", ["vgg16", "resnet18", "googlenet"])
def test_the_decoder_sees_nothing_of_the_label_but_the_density(encoder: str) -> None:
    """What makes its knowledge transferable: maps of equal density are equal."""
    network = small(encoder=encoder)
    decoder = network.decoder
    assert isinstance(decoder, Decoder)
    assert next(iter(decoder.stages.values()))[0].in_channels == 1
    encoded = network.encode(torch.randn(1, 3, 64, 64))
    attended = network._attend(encoded, one_hot(0))
    assert torch.equal(network._decode(encoded, attended, one_hot(0)), network._decode(encoded, attended, one_hot(2)))


# ---- whole images ----------------------------------------------------------------------------------------------


def test_a_label_is_where_its_halved_background_is_less_likely() -> None:
    """TransferNet_inference.m, written out: each found label's pass, then the likeliest, or background below ½."""
    network = small(classifier="averaged", batch_norm=True)
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        found = network.classify(image).sigmoid() >= network.threshold
        found |= nn.functional.one_hot(network.classify(image).argmax(1), 3).bool() & ~found.any(1, keepdim=True)
        assert found.any(1).all()
        expected = torch.zeros(2, 64, 64, dtype=torch.int64)
        for index in range(2):
            best = torch.full((64, 64), 0.5)
            for label in found[index].nonzero().flatten().tolist():
                both = network.segment(image[index : index + 1], one_hot(label)).softmax(1)[0]
                inside = both[1] / (both[1] + 0.5 * both[0])
                expected[index] = torch.where(inside > best, label + 1, expected[index])
                best = torch.maximum(best, inside)
        assert torch.equal(network(image).argmax(1), expected)
    assert expected.unique().numel() > 1


def test_probabilities_of_one_label_are_its_own() -> None:
    network = small(classifier="averaged", batch_norm=True, threshold=0.99)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        label = int(network.classify(image).argmax())
        inside = foreground(network.segment(image, one_hot(label)))[:, 0]
        probabilities = network(image).softmax(1)
    torch.testing.assert_close(probabilities[:, label + 1], inside, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(probabilities[:, 0], 1 - inside, atol=1e-5, rtol=1e-4)


def test_a_network_of_its_own_may_say_which_labels_there_are() -> None:
    """The release's classificationNet.caffemodel; as DecoupledNet's here, 134,342,484 weights for 20 labels."""
    with torch.device("meta"):
        network = TransferNet(21, classifier="separate")
        assert network.classifier is not None
        assert size(network.classifier) == 134_342_484
    narrow, image = small(classifier="separate"), torch.randn(1, 3, 64, 64)
    assert narrow.classifier is not None
    assert torch.equal(narrow.classify(image), narrow.classifier(image))


@pytest.mark.parametrize("background", [-1, 0, 2])
def test_the_background_may_be_any_class_or_none(background: int) -> None:
    network = small(background=background, classifier="averaged", batch_norm=True)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        scores, logits = network.classify(image), network(image)
        assert scores.shape == (1, 4 if background < 0 else 3)
        assert logits.shape == (1, 4, 64, 64)
        label = int(scores.argmax())
        network.threshold = 1.0
        shown = set(network(image).argmax(1).unique().tolist())
    assert shown <= {label + (0 <= background <= label), max(background, 0)}


def test_images_are_surrounded_by_black() -> None:
    """TransferNet_inference.m: zeros at the bottom and the right, before the mean is subtracted."""
    network = small(feature_scale=1.0)
    network.black.copy_(torch.tensor([-1.0, -2.0, -3.0]))
    image = torch.randn(1, 3, 64, 40)
    around = network.black.view(1, 3, 1, 1).expand(1, 3, 64, 24)
    with torch.inference_mode():
        expected = network.segment(torch.cat([image, around], 3), one_hot(1))[..., :40]
        torch.testing.assert_close(network.segment(image, one_hot(1)), expected)


def test_without_a_classifier_the_class_head_looks_through_each_label_s_eyes() -> None:
    network = small()
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        scores = network.classify(image).sigmoid()
        for label in range(3):
            expected = network.recognize(image, one_hot(label, label)).softmax(1)[:, label]
            torch.testing.assert_close(scores[:, label], expected)


def test_activation_maps_average_to_the_classifier_s_scores() -> None:
    network = small(classifier="averaged", embedding="convolutional")
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        maps = network.activation_maps(image)
        assert maps.shape == (1, 3, 64, 64)
        torch.testing.assert_close(maps.mean((-2, -1)), network.classify(image), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="expected classifier='averaged'"):
        small().activation_maps(image)


# ---- training --------------------------------------------------------------------------------------------------


def test_the_classifier_may_say_what_a_label_looks_at() -> None:
    """Ours: its layer, on what is attended to instead of the average; no second class head is learned."""
    network = small(classifier="averaged", class_head="classifier", attention="uniform", square=False)
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.recognize(image, one_hot(0, 2)), network.classify(image))
    assert not any(name.startswith("class_head") for name, _ in network.named_parameters())
    with pytest.raises(ValueError, match="expected classifier='averaged' as the class head, got 'none'"):
        small(class_head="classifier")


def test_all_but_the_classifier_learns_from_both_losses() -> None:
    network = small(classifier="averaged", feature_scale=1.0, batch_norm=True).train()
    logits, maps = network.learn(torch.randn(2, 3, 64, 64), one_hot(0, 2))
    loss = nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    (loss + 2 * nn.functional.cross_entropy(maps, torch.randint(2, (2, 64, 64)))).backward()
    idle = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert idle == {"classifier.score.weight", "classifier.score.bias"}


def test_a_frozen_encoder_keeps_its_running_averages() -> None:
    network = small(encoder="vgg11-bn", batch_norm=True).train()
    assert network.encoder.training
    network.encoder.requires_grad_(False)
    network.train()
    assert not network.encoder.training
    assert network.decoder.training


@pytest.mark.parametrize("encoder", ["vgg11", "vgg13-bn", "vgg19"])
def test_the_decoder_mirrors_any_vgg(encoder: str) -> None:
    network = small(encoder=encoder)
    assert network(torch.randn(1, 3, 33, 50)).shape == (1, 4, 33, 50)
    convolutions = [layer for layer in network.encoder.modules() if isinstance(layer, nn.Conv2d)]
    deconvolutions = [layer for layer in network.decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    last_stage = len([layer for layer in network.encoder.stages["stage5"] if isinstance(layer, nn.Conv2d)])
    assert len(deconvolutions) == len(convolutions) - last_stage + 1


@pytest.mark.parametrize(("stages", "cells"), [(5, 4), (4, 8), (3, 16)])
def test_fewer_stages_make_finer_cells(stages: int, cells: int) -> None:
    network = small(stages=stages)
    image = torch.randn(1, 3, 64, 64)
    assert network.attend(image, one_hot(0)).density.shape == (1, 1, cells, cells)
    assert network(image).shape == (1, 4, 64, 64)
    with pytest.raises(ValueError, match="expected stages from 2 to 5, got 6"):
        small(stages=6)


@pytest.mark.parametrize(("encoder", "stages"), [("resnet18", 5), ("alexnet", 4), ("googlenet-caffe", 6)])
def test_any_encoder_gives_cells_as_large_as_a_vgg_of_so_many_stages(encoder: str, stages: int) -> None:
    network = small(encoder=encoder, stages=stages, square=False, classifier="averaged", batch_norm=True)
    assert network.encoder.strides[-1] == 2 ** (stages - 1)
    for size in ((1, 1), (2, 40), (33, 17), (97, 64)):
        assert network(torch.randn(1, 3, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("options", [{}, {"square": False}, {"square": False, "embedding": "convolutional"}])
def test_another_encoder_learns_from_both_losses(options: dict[str, object]) -> None:
    network = small(encoder="resnet18", batch_norm=True, **options).train()
    logits, maps = network.learn(torch.randn(2, 3, 64, 64), one_hot(0, 2))
    (logits.square().mean() + nn.functional.cross_entropy(maps, torch.randint(2, (2, 64, 64)))).backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_an_unknown_encoder_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no classifier named 'resnet19'. Did you mean 'resnet1"):
        small(encoder="resnet19")


def test_an_unknown_choice_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected embedding to be one of flattened, convolutional, got 'flat'"):
        TransferNet(4, width=NARROW, embedding="flat")
