"""What the papers print of their networks: the size they were made for, and how many parameters they count.

Counts are as printed, with the table that prints them; ours, to the unit, are checked against the released files.
"""

from typing import NamedTuple


class Paper(NamedTuple):
    """What is printed of one network.

    Attributes:
        image_size: (H, W) that it is shown or trained at.
        parameters: As printed; empty where nothing is.
        where: The table or section that prints it.
    """

    image_size: tuple[int, int]
    parameters: str = ""
    where: str = ""


FCN = Paper((500, 500), "134 M", "CVPR 2015, Table 1")
STUDY = (360, 480)

PAPERS = {
    "fcn32s": FCN,
    "fcn16s": Paper((500, 500)),
    "fcn8s": Paper((500, 500)),
    "fcn8s-at-once": Paper((500, 500)),
    "fcn8s-two-headed": Paper((256, 256)),
    "fcn32s-late-fusion": Paper((480, 640)),
    "fcn32s-alexnet": Paper((500, 500), "57 M", "CVPR 2015, Table 1"),
    "fcn32s-googlenet": Paper((500, 500), "6 M", "CVPR 2015, Table 1"),
    "segnet": Paper(STUDY, "14.7 M in the encoder", "TPAMI 2017, Sec. 3"),
    "segnet-basic": Paper(STUDY, "1.425 M", "TPAMI 2017, Table 1"),
    "bilinear-interpolation": Paper(STUDY, "0.625 M", "TPAMI 2017, Table 1"),
    "segnet-basic-single-channel-decoder": Paper(STUDY, "0.625 M", "TPAMI 2017, Table 1"),
    "segnet-basic-encoder-addition": Paper(STUDY, "1.425 M", "TPAMI 2017, Table 1"),
    "fcn-basic": Paper(STUDY, "0.65 M", "TPAMI 2017, Table 1"),
    "fcn-basic-no-addition": Paper(STUDY, "0.65 M", "TPAMI 2017, Table 1"),
    "fcn-basic-no-reduction": Paper(STUDY, "1.625 M", "TPAMI 2017, Table 1"),
    "fcn-basic-no-addition-no-reduction": Paper(STUDY, "1.625 M", "TPAMI 2017, Table 1"),
    "bayesian-segnet": Paper(STUDY),
    "bayesian-segnet-basic": Paper(STUDY),
    "deconvnet": Paper((224, 224), "about 252 M", "ICCV 2015, Sec. 3 (recalled)"),
    "decouplednet": Paper((320, 320)),
    "deeplab-v1-largefov": Paper((321, 321), "20.5 M", "ICLR 2015, Table 2"),
    "deeplab-v1-msc-largefov": Paper((321, 321)),
    "deeplab-v1-7x7": Paper((306, 306), "134.3 M", "ICLR 2015, Table 2"),
    "deeplab-v1-4x4": Paper((306, 306), "65.1 M", "ICLR 2015, Table 2"),
    "deeplab-v2-vgg16-aspp-s": Paper((321, 321)),
    "deeplab-v2-vgg16-aspp-l": Paper((321, 321)),
    "deeplab-v2-resnet101": Paper((321, 321)),
    "frrn-a": Paper((256, 512), "17.7 M", "CVPR 2017, Table 2 (recalled)"),
    "frrn-b": Paper((512, 1024), "24.8 M", "CVPR 2017, Table 2 (recalled)"),
    "activation-maps": Paper((224, 224)),
    "transfernet": Paper((320, 320)),
    "unet": Paper((388, 388), "23 convolutions", "MICCAI 2015, Sec. 2"),
    "unet-same": Paper((572, 572)),
    "deep-contextual": Paper((512, 512)),
}
