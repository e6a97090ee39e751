"""COCO, labelme and CVAT, drawn as class ids."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from perpixel.data.annotations.coco import read_coco
from perpixel.data.annotations.run_lengths import fill, unpack_counts
from perpixel.data.annotations.shapes import fill_polygon, to_points
from perpixel.data.dataset import Dataset
from perpixel.data.layouts import recognize
from perpixel.data.spec import DatasetSpec
from perpixel.errors import DataError

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # columns 1..3, rows 1..2
DRAWN = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    np.uint8,
)


def save_image(path: Path, size: tuple[int, int] = (5, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


def pack_counts(counts: list[int]) -> str:
    """COCO's packed text, by the loop of maskApi.c."""
    text = ""
    for i, count in enumerate(counts):
        value, more = count - (counts[i - 2] if i > 2 else 0), True
        while more:
            code = value & 31
            value >>= 5
            more = value != (-1 if code & 16 else 0)
            text += chr(code + (32 if more else 0) + 48)
    return text


def coco(annotations: list[dict], file: str = "a.png", **image: object) -> dict:
    entry = {"id": 7, "file_name": file, "height": 5, "width": 6} | image
    given = [{"image_id": 7, "category_id": 3, "iscrowd": 0} | a for a in annotations]
    return {
        "images": [entry],
        "annotations": given,
        "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
    }


def open_folder(root: Path, **more: object) -> Dataset:
    layout = recognize(root)
    spec = DatasetSpec(
        images=layout.images,
        masks=layout.masks,
        splits=layout.splits,
        encoding=layout.encoding,
        **(layout.hints | more),
    )
    return Dataset(spec, layout.root)


def read_coco_target(root: Path, values: dict, **more: object) -> np.ndarray:
    save_image(root / "images" / "a.png")
    (root / "annotations.json").write_text(json.dumps(values))
    data = open_folder(root, **more)
    return data.read(data.pairs("train")[0])[1]


def test_a_polygon_covers_the_pixels_whose_centres_lie_inside(tmp_path: Path):
    target = read_coco_target(tmp_path, coco([{"segmentation": [SQUARE]}]))
    np.testing.assert_array_equal(target, DRAWN)


def test_run_lengths_go_down_the_columns(tmp_path: Path):
    counts = [6, 2, 3, 2, 3, 2, 12]
    target = read_coco_target(tmp_path, coco([{"segmentation": {"size": [5, 6], "counts": counts}}]))
    np.testing.assert_array_equal(target, DRAWN)


def test_packed_run_lengths_say_the_same_as_a_list(tmp_path: Path):
    packed = pack_counts([6, 2, 3, 2, 3, 2, 12])
    target = read_coco_target(tmp_path, coco([{"segmentation": {"size": [5, 6], "counts": packed}}]))
    np.testing.assert_array_equal(target, DRAWN)


def test_packed_counts_that_somebody_worked_out_by_hand():
    """6 -> '6'; 2 -> '2'; 3 as itself -> '3'; then 2−2 -> '0', 3−3 -> '0'; 40 = 8 + 1·32 -> 'X1'; −1 -> 'O'."""
    assert unpack_counts("62300").tolist() == [6, 2, 3, 2, 3]
    assert unpack_counts("X1").tolist() == [40]
    assert unpack_counts("545O").tolist() == [5, 4, 5, 3]


@given(st.lists(st.integers(0, 2**20), max_size=40))
def test_unpacking_is_the_inverse_of_packing(counts: list[int]):
    assert unpack_counts(pack_counts(counts)).tolist() == counts


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_run_lengths_fill_what_a_loop_fills(height: int, width: int, random):
    flat = [random.random() < 0.5 for _ in range(height * width)]
    counts, last = [0], False
    for value in flat:
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    np.testing.assert_array_equal(fill(counts, (height, width), columns=False).ravel(), flat)
    np.testing.assert_array_equal(fill(counts, (height, width), columns=True).T.ravel(), flat)


@given(st.lists(st.tuples(st.floats(-2, 12), st.floats(-2, 12)), min_size=3, max_size=8))
def test_a_polygon_is_filled_as_a_naive_loop_over_pixels_fills_it(points: list[tuple[float, float]]):
    filled = fill_polygon(to_points(points), (9, 10))
    for row in range(9):
        for column in range(10):
            y, x, inside = row + 0.5, column + 0.5, False
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
                if (y0 <= y) != (y1 <= y) and x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    inside = not inside
            assert filled[row, column] == inside


def test_neighbouring_polygons_share_no_pixel_and_leave_none_out():
    left, right = ([[0, 0], [3.7, 0], [5.2, 8], [0, 8]], [[3.7, 0], [9, 0], [9, 8], [5.2, 8]])
    both = fill_polygon(to_points(left), (8, 9)).astype(int) + fill_polygon(to_points(right), (8, 9))
    np.testing.assert_array_equal(both, 1)


def test_later_annotations_lie_over_earlier_ones_and_crowds_under_all(tmp_path: Path):
    whole = [0, 0, 6, 0, 6, 5, 0, 5]
    crowd = {"segmentation": {"size": [5, 6], "counts": [0, 30]}, "iscrowd": 1, "category_id": 9}
    values = coco([{"segmentation": [whole]}, {"segmentation": [SQUARE], "category_id": 9}, crowd])
    np.testing.assert_array_equal(read_coco_target(tmp_path, values), DRAWN + 1)


def test_a_coco_split_is_told_from_the_files_names(tmp_path: Path):
    for split in ("train", "val"):
        save_image(tmp_path / f"{split}2017" / "a.png")
        path = tmp_path / "annotations" / f"instances_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(coco([{"segmentation": [SQUARE]}])))
        path.with_name(f"captions_{split}2017.json").write_text(json.dumps({"images": [], "annotations": []}))
    layout = recognize(tmp_path)
    assert (layout.images, layout.masks) == ("{split}2017", "annotations/instances_{split}2017.json")
    assert [pair.id for pair in layout.listing.pairs] == ["train/a", "val/a"]
    assert layout.hints["classes"] == ("background", "cat", "dog")


def test_a_coco_file_in_every_split_folder_is_recognised(tmp_path: Path):
    for split in ("train", "valid"):
        save_image(tmp_path / split / "a.png")
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(coco([{"segmentation": [SQUARE]}])))
    layout = recognize(tmp_path)
    assert layout.splits == {"train": "train", "val": "valid"}
    assert [pair.split for pair in layout.listing.pairs] == ["train", "val"]


def test_an_image_without_entry_and_an_entry_without_image_are_listed(tmp_path: Path):
    save_image(tmp_path / "images" / "b.png")
    save_image(tmp_path / "images" / "a.png")
    values = coco([])
    values["images"].append({"id": 8, "file_name": "gone.png", "height": 5, "width": 6})
    (tmp_path / "c.json").write_text(json.dumps(values | {"annotations": [{"image_id": 7, "category_id": 3}]}))
    listing = open_folder(tmp_path).listing
    assert [path.name for path in listing.images_without_mask] == ["b.png"]
    assert [path.name for path in listing.masks_without_image] == ["gone.png"]


@pytest.mark.parametrize("file", ["../../secret.png", "/etc/secret.png", "C:\\secret.png"])
def test_a_path_that_leaves_the_data_folder_is_refused(tmp_path: Path, file: str):
    save_image(tmp_path / "images" / "a.png")
    (tmp_path / "c.json").write_text(json.dumps(coco([{"segmentation": [SQUARE]}], file=file)))
    with pytest.raises(DataError, match=r"c\.json: expected paths inside .*, got .*secret.* Make it relative"):
        open_folder(tmp_path)


DAMAGED = {
    "cut": ({"size": [5, 6], "counts": "X"}, "expected whole run lengths, got a cut text"),
    "characters": ({"size": [5, 6], "counts": "é "}, "expected packed run lengths, got other characters"),
    "sum": ({"size": [5, 6], "counts": [3, 4]}, "expected run lengths of 30 pixels in all, got 7"),
    "size": ({"size": [99999, 99999], "counts": [3]}, r"expected run lengths of 5 × 6 pixels, got \(99999, 99999\)"),
    "negative": ({"size": [5, 6], "counts": [-1, 31]}, "expected run lengths from 0 to the number of pixels"),
    "odd": ([[1, 2, 3]], "expected an outline as numbers x, y, x, y"),
    "infinite": ([[1, 2, float("inf"), 3, 4, 5]], "expected an outline of finite numbers"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_segments_name_the_file_and_the_image(tmp_path: Path, case: str):
    segmentation, message = DAMAGED[case]
    with pytest.raises(DataError, match=rf"annotations\.json, image 7: {message}.*Export it again"):
        read_coco_target(tmp_path, coco([{"segmentation": segmentation}]))


def test_an_enormous_size_is_refused_before_anything_is_decoded(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps(coco([], height=10**6, width=10**6)))
    with pytest.raises(DataError, match=r"expected at most 268,435,456 pixels, got 1000000 × 1000000"):
        read_coco(tmp_path / "a.json")


def test_json_of_another_kind_says_what_was_expected(tmp_path: Path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(DataError, match=r"a\.json: expected a JSON object, got list"):
        read_coco(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: expected JSON, got something else"):
        read_coco(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError, match=r"a\.json: expected COCO's images, annotations and categories"):
        read_coco(tmp_path / "a.json")


def test_json_nested_without_end_is_refused(tmp_path: Path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="expected JSON"):
        read_coco(tmp_path / "a.json")


def test_an_unknown_label_names_the_nearest_class(tmp_path: Path):
    message = r"is labelled 'cat', which is no class\. Did you mean 'cats'\? Classes: .*`mask_values: \{cat: name\}`"
    with pytest.raises(DataError, match=message):
        read_coco_target(tmp_path, coco([{"segmentation": [SQUARE]}]), classes=["background", "cats"])


def test_labels_can_be_merged_or_ignored(tmp_path: Path):
    given = {"classes": ["background", "animal"], "mask_values": {"cat": "animal", "dog": None}}
    values = coco([{"segmentation": [SQUARE]}, {"segmentation": [[0, 4, 6, 4, 6, 5, 0, 5]], "category_id": 9}])
    target = read_coco_target(tmp_path, values, **given)
    np.testing.assert_array_equal(target[:4], DRAWN[:4])
    assert (target[4] == 255).all()


def test_what_no_shape_covers_is_ignored_where_no_class_is_background(tmp_path: Path):
    target = read_coco_target(tmp_path, coco([{"segmentation": [SQUARE]}]), classes=["cat"])
    np.testing.assert_array_equal(target, np.where(DRAWN, 0, 255))


def labelme(*shapes: dict, **more: object) -> str:
    values = {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": 5, "imageWidth": 6, "imageData": None}
    return json.dumps(values | more)


def polygon(label: str = "cat", kind: str = "polygon", points: object = None) -> dict:
    outline = np.reshape(SQUARE, (-1, 2)).tolist() if points is None else points
    return {"label": label, "points": outline, "shape_type": kind}


def read_labelme_target(root: Path, text: str) -> np.ndarray:
    save_image(root / "a.png")
    (root / "a.json").write_text(text)
    data = open_folder(root)
    assert data.spec.encoding == "labelme"
    return data.read(data.pairs("train")[0])[1]


def test_labelme_files_beside_the_images_are_read(tmp_path: Path):
    np.testing.assert_array_equal(read_labelme_target(tmp_path, labelme(polygon())), DRAWN)


def test_a_labelme_rectangle_is_given_by_two_corners(tmp_path: Path):
    text = labelme(polygon(kind="rectangle", points=[[4, 3], [1, 1]]))
    np.testing.assert_array_equal(read_labelme_target(tmp_path, text), DRAWN)


def test_a_labelme_circle_is_given_by_centre_and_rim(tmp_path: Path):
    target = read_labelme_target(tmp_path, labelme(polygon(kind="circle", points=[[3, 2.5], [5, 2.5]])))
    assert abs(int(target.sum()) - np.pi * 4) < 2


def test_a_labelme_mask_is_a_png_at_a_place(tmp_path: Path):
    packed = io.BytesIO()
    Image.fromarray(np.full((2, 3), 255, np.uint8)).save(packed, "PNG")
    shape = polygon(kind="mask", points=[[1, 1], [4, 3]]) | {"mask": base64.b64encode(packed.getvalue()).decode()}
    np.testing.assert_array_equal(read_labelme_target(tmp_path, labelme(shape)), DRAWN)


def test_a_labelme_line_is_ten_pixels_wide(tmp_path: Path):
    save_image(tmp_path / "a.png", (40, 60))
    text = labelme(polygon(kind="line", points=[[10, 20], [50, 20]]), imageHeight=40, imageWidth=60)
    (tmp_path / "a.json").write_text(text)
    data = open_folder(tmp_path)
    assert (data.read(data.pairs("train")[0])[1][:, 30] == 1).sum() == 10


def test_an_unknown_labelme_shape_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"a\.json: .*a shape of type 'blob' with 4 points; known: polygon"):
        read_labelme_target(tmp_path, labelme(polygon(kind="blob")))


def test_labelme_files_in_a_folder_of_their_own_find_their_images(tmp_path: Path):
    save_image(tmp_path / "photos" / "a.png")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "a.json").write_text(labelme(polygon(), imagePath="..\\photos\\a.png"))
    data = open_folder(tmp_path)
    np.testing.assert_array_equal(data.read(data.pairs("train")[0])[1], DRAWN)


def test_labelme_split_folders_are_recognised(tmp_path: Path):
    for split in ("train", "val"):
        save_image(tmp_path / split / "a.png")
        (tmp_path / split / "a.json").write_text(labelme(polygon()))
    assert [pair.id for pair in recognize(tmp_path).listing.pairs] == ["train/a", "val/a"]


def cvat(shapes: str, head: str = "") -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>{head}
<annotations><version>1.1</version><meta><task><labels>
<label><name>cat</name><attributes><attribute><name>mood</name></attribute></attributes></label>
<label><name>dog</name></label></labels></task></meta>
<image id="0" name="a.png" width="6" height="5">{shapes}</image></annotations>"""


CVAT_SHAPES = {
    "polygon": '<polygon label="cat" points="1.00,1.00;4.00,1.00;4.00,3.00;1.00,3.00" z_order="0"/>',
    "box": '<box label="cat" xtl="1" ytl="1" xbr="4" ybr="3" z_order="0"/>',
}


def read_cvat_target(root: Path, text: str) -> np.ndarray:
    save_image(root / "images" / "a.png")
    (root / "annotations.xml").write_text(text)
    data = open_folder(root)
    assert data.classes == ("background", "cat", "dog")
    return data.read(data.pairs("train")[0])[1]


@pytest.mark.parametrize("kind", ["polygon", "box"])
def test_cvat_shapes_are_drawn(tmp_path: Path, kind: str):
    np.testing.assert_array_equal(read_cvat_target(tmp_path, cvat(CVAT_SHAPES[kind])), DRAWN)


def test_cvat_run_lengths_go_along_the_rows_of_their_box(tmp_path: Path):
    shape = '<mask label="cat" rle="0, 3, 1, 2" left="1" top="1" width="3" height="2"/>'
    target = read_cvat_target(tmp_path, cvat(shape))
    assert target[1:3, 1:4].tolist() == [[1, 1, 1], [0, 1, 1]]


def test_cvat_draws_by_z_order(tmp_path: Path):
    under = '<box label="dog" xtl="0" ytl="0" xbr="6" ybr="5" z_order="-1"/>'
    target = read_cvat_target(tmp_path, cvat(CVAT_SHAPES["box"] + under))
    np.testing.assert_array_equal(target, np.where(DRAWN, 1, 2))


def test_cvat_entities_are_refused_before_they_expand(tmp_path: Path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
    with pytest.raises(DataError, match=r"annotations\.xml: expected no document type or entities, got one"):
        read_cvat_target(tmp_path, cvat("&c;", head=bomb))


def test_cut_xml_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"annotations\.xml: expected XML, got something else \(.*line"):
        read_cvat_target(tmp_path, cvat(CVAT_SHAPES["box"])[:-20])
