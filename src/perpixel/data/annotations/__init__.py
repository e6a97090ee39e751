"""Annotation files that hold outlines or run lengths: COCO, labelme, CVAT. Drawn as class ids when read.

    pair.mask   the file          pair.key   the image in it (COCO: its id, CVAT: its name, labelme: none)

What no shape covers is the class called `background`, or ignored where there is none.
"""

from perpixel.data.annotations.listing import list_annotated, read_labels
from perpixel.data.annotations.read import BACKGROUND, SPECIAL_LABELS, label_meanings, read_drawn

__all__ = ["BACKGROUND", "SPECIAL_LABELS", "label_meanings", "list_annotated", "read_drawn", "read_labels"]
