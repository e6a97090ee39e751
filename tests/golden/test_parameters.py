"""Parameter counts, to the unit."""

import pytest
import torch

from perpixel.models.catalog import MODELS, build, count_parameters
from perpixel.models.fcn import FCN8s, FCN16s

# Counted from the released prototxts: FCN without its fixed deconvolutions, SegNet with BN scale and shift.
PARAMETERS = {
    ("fcn32s", 21): 134_346_581,
    ("fcn16s", 21): 134_357_354,
    ("fcn8s", 21): 134_362_751,
    ("fcn8s-at-once", 21): 134_362_751,
    ("fcn8s-two-headed", 33): 134_362_751 + (33 + 3 - 21) * (4096 + 1 + 512 + 1 + 256 + 1),  # siftflow-fcn8s
    ("fcn32s-late-fusion", 40): 2 * (134_346_581 + (40 - 21) * 4097),  # nyud-fcn32s-color-hha: two trunks, two scores
    ("fcn32s-alexnet", 21): 56_954_261,  # 57 million, and 6 million, in FCN, CVPR 2015, Table 1
    ("fcn32s-googlenet", 21): 5_995_077,
    ("fcn8s-any-encoder", 21): 21_284_672 + 21 * (512 + 256 + 128 + 3),  # torchvision's ResNet-34, and scores
    ("segnet", 11): 29_449_355,
    ("segnet", 12): 29_449_932,
    ("segnet-basic", 11): 1_416_587,
    ("segnet-basic", 12): 1_416_652,
    # SegNet, Table 1: weights of convolutions (tests/models/test_segnet_study.py), and 128 for each normalisation
    ("bilinear-interpolation", 11): 612_736,
    ("segnet-basic-single-channel-decoder", 11): 625_792,
    ("segnet-basic-encoder-addition", 11): 1_416_064,
    ("fcn-basic", 11): 645_824,
    ("fcn-basic-no-addition", 11): 643_712,
    ("fcn-basic-no-reduction", 11): 1_661_312,
    ("fcn-basic-no-addition-no-reduction", 11): 1_661_312,
    ("bayesian-segnet", 11): 29_449_355,  # dropout has no weights
    ("bayesian-segnet-basic", 11): 1_416_587,
    ("deconvnet", 21): 251_805_653,
    ("decouplednet", 21): 134_342_484 + 173_107_906,  # classification, and what 002_train_seg_Full_anno.prototxt trains
    ("deeplab-v1-largefov", 21): 20_505_429,
    ("deeplab-v1-msc-largefov", 21): 21_711_550,
    ("deeplab-v1-7x7", 21): 134_346_581,
    ("deeplab-v1-4x4", 21): 65_140_565,
    ("deeplab-v2-vgg16-aspp-s", 21): 37_877_652,
    ("deeplab-v2-vgg16-aspp-l", 21): 37_877_652,
    ("deeplab-v2-resnet101", 21): 44_048_532,
    ("frrn-a", 19): 17_746_803,  # the paper says 17.7M and 24.8M
    ("frrn-b", 19): 24_755_699,
    ("deep-contextual", 2): 24_283_526,  # of a reconstruction: no count was published
    ("transfernet", 81): 233_952_354,  # attention-decoder.prototxt: 80 labels; its classification network is another
    ("activation-maps", 21): 14_714_688 + 20 * 513,  # VGG-16's convolutions, and a score for each label
    ("unet", 2): 31_030_658 + 2 * 64 * 9,  # Fig. 1, and three channels instead of one
    ("unet-same", 2): 31_037_698,  # derived from the paper's count below
}

# The same FCNs with every deconvolution as the release stores it: dense, K x K, side 2f.
RELEASED_BLOBS = {
    "fcn32s": 136_152_917,
    "fcn16s": 134_815_994,
    "fcn8s": 134_489_759,
    "fcn8s-at-once": 134_490_527,
}
KERNELS = {"fcn32s": (64,), "fcn16s": (4, 32), "fcn8s": (4, 4, 16), "fcn8s-at-once": (4, 4, 16)}
FIXED_SCALES = {"fcn8s-at-once": 512 + 256}


@pytest.mark.parametrize(("name", "num_classes"), PARAMETERS)
def test_parameters_are_the_papers(name: str, num_classes: int) -> None:
    assert count_parameters(name, num_classes) == PARAMETERS[name, num_classes]


def test_every_network_has_a_golden_count_at_its_own_classes() -> None:
    assert {(name, row.num_classes) for name, row in MODELS.items()} <= set(PARAMETERS)


@pytest.mark.parametrize("name", RELEASED_BLOBS)
def test_fcns_have_the_released_sizes_once_their_fixed_blobs_are_added(name: str) -> None:
    blobs = sum(21 * 21 * kernel**2 for kernel in KERNELS[name])
    assert count_parameters(name) + blobs + FIXED_SCALES.get(name, 0) == RELEASED_BLOBS[name]


@pytest.mark.parametrize(("network", "deconvolutions"), [(FCN16s, 1), (FCN8s, 2)])
def test_learned_upsampling_adds_a_dense_kernel_for_each_deconvolution_between_scores(
    network: type[FCN8s], deconvolutions: int
) -> None:
    with torch.device("meta"):
        fixed, learned = network(21), network(21, learned_upsampling=True)
    assert size(learned) - size(fixed) == deconvolutions * 21 * 21 * 4 * 4


def test_the_padded_unet_is_the_papers_but_for_batch_normalisation_and_colour() -> None:
    """Fig. 1 counts 31,030,658: 18 biases become a scale and a shift each, and three channels replace one."""
    channels = 2 * (64 + 128 + 256 + 512) * 2 + 2 * 1024
    assert count_parameters("unet-same", 2) == 31_030_658 + channels + 2 * 64 * 9
    assert size(build("unet-same", 2, in_channels=1, width=1.0)) == 31_030_658 + channels


def size(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
