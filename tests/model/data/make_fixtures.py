"""Writes fixtures/: one small picture in every format that model/data reads.

  make_fixtures.py FOLDER

Needs numpy, pillow, pycocotools (tests/peer/requirements.txt) and, for the MATLAB
file, scipy.
"""

import json
import pathlib
import sys

import numpy
import scipy.io
from PIL import Image
from pycocotools import mask as coco

HEIGHT, WIDTH = 12, 16


def picture(seed):
    ramp = numpy.add.outer(numpy.arange(HEIGHT) * 9, numpy.arange(WIDTH) * 7)
    return numpy.stack([ramp + seed, ramp * 2, 255 - ramp], axis=-1).astype(numpy.uint8)


def rectangle(x, y, width, height):
    mask = numpy.zeros((HEIGHT, WIDTH), numpy.uint8)
    mask[y:y + height, x:x + width] = 1
    return mask


def compressed(mask):
    runs = coco.encode(numpy.asfortranarray(mask))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def uncompressed(mask):
    pixels = mask.flatten(order="F")
    changes = numpy.flatnonzero(numpy.diff(pixels)) + 1
    ends = [0, *changes.tolist(), pixels.size]
    counts = [b - a for a, b in zip(ends, ends[1:])]
    return {"size": [HEIGHT, WIDTH], "counts": ([0] if pixels[0] else []) + counts}


def save_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def save_picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path)


def image(number, name, **more):
    return {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, **more}


def sa1b(folder):
    save_picture(folder / "sa_7.jpg")
    masks = [rectangle(1, 1, 10, 8), rectangle(2, 2, 3, 3), rectangle(13, 0, 2, 12)]
    annotations = []
    for number, mask in enumerate(masks, 100):
        x, y, w, h = coco.toBbox(coco.encode(numpy.asfortranarray(mask))).tolist()
        annotations.append({
            "bbox": [x, y, w, h], "area": int(mask.sum()), "segmentation": compressed(mask),
            "predicted_iou": 0.95, "point_coords": [[x + 1, y + 1]],
            "crop_box": [0.0, 0.0, WIDTH, HEIGHT], "id": number, "stability_score": 0.97})
    save_json(folder / "sa_7.json", {
        "image": {"image_id": 7, "width": WIDTH, "height": HEIGHT, "file_name": "sa_7.jpg"},
        "annotations": annotations})


def instances(folder):
    save_picture(folder / "images" / "b.png", 1)
    save_picture(folder / "images" / "a.png", 2)
    crowd = rectangle(8, 8, 8, 4)
    save_json(folder / "annotations.json", {
        "info": {"description": "a \"quoted\" {text} [in] braces \\"},
        "annotations": [
            {"id": 11, "image_id": 2, "category_id": 3, "iscrowd": 0, "area": 24.0,
             "bbox": [2, 2, 6, 4], "segmentation": [[2, 2, 8, 2, 8, 6, 2, 6]]},
            {"id": 12, "image_id": 2, "category_id": 1, "iscrowd": 1,
             "area": int(crowd.sum()), "bbox": [8, 8, 8, 4], "segmentation": uncompressed(crowd)},
            {"id": 13, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 12,
             "bbox": [0, 0, 4, 3], "segmentation": compressed(rectangle(0, 0, 4, 3))},
            {"id": 14, "image_id": 2, "category_id": 3, "iscrowd": 0, "area": 8.0,
             "bbox": [0, 0, 4, 2],
             "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2], [2, 0, 4, 0, 4, 2, 2, 2]]}],
        "licenses": [{"id": 4, "name": "CC BY 2.0"}],
        "images": [image(1, "b.png", labels="person-only"),
                   image(2, "a.png", license=4, flickr_url="picture.example/a")],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"},
                       {"id": 3, "name": "car", "supercategory": "vehicle"}]})


def panoptic(folder, names):
    save_picture(folder / "images" / "p.png", 3)
    ids = numpy.zeros((HEIGHT, WIDTH), numpy.uint32)
    ids[:6] = 70000
    ids[6:, :10] = 300
    ids[2:8, 2:6] = 5
    rgb = numpy.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(numpy.uint8)
    (folder / "panoptic").mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / "panoptic" / "p.png")
    save_json(folder / "panoptic.json", {
        "images": [image(9, "p.png")],
        "annotations": [{"image_id": 9, "file_name": "p.png", "segments_info": [
            {"id": 5, "category_id": 1, "iscrowd": 0, "area": int((ids == 5).sum()),
             "bbox": [2, 2, 4, 6]},
            {"id": 300, "category_id": 2, "iscrowd": 0, "area": int((ids == 300).sum()),
             "bbox": [0, 6, 10, 6]},
            {"id": 70000, "category_id": 3, "iscrowd": 0, "area": int((ids == 70000).sum()),
             "bbox": [0, 0, 16, 6]}]}],
        "categories": [{"id": number, "name": name, "isthing": thing, "supercategory": "-"}
                       for number, name, thing in names]})


def objects365(folder):
    save_picture(folder / "images" / "patch8" / "objects365_v1_00000042.jpg", 4)
    save_json(folder / "zhiyuan_objv2.json", {
        "images": [image(42, "images/v1/patch8/objects365_v1_00000042.jpg", license=5, url="")],
        "annotations": [
            {"id": 1, "iscrowd": 0, "isfake": 0, "area": 30.25, "isreflected": 0,
             "bbox": [1.5, 2.25, 5.5, 5.5], "image_id": 42, "category_id": 6},
            {"id": 2, "iscrowd": 0, "isfake": 0, "area": 50, "isreflected": 0,
             "bbox": [10.5, 4.0, 10.0, 5.0], "image_id": 42, "category_id": 1}],
        "categories": [{"name": "Person", "id": 1}, {"name": "Car", "id": 6}]})


def paco(folder):
    save_picture(folder / "images" / "val2017" / "000000000139.png", 5)
    shared = {"image_id": 139, "attribute_ids": [], "dom_color_ids": [], "iscrowd": 0}
    save_json(folder / "paco_lvis_v1_val.json", {
        "info": {}, "licenses": [], "attributes": [{"id": 1, "name": "red"}],
        "part_categories": [{"id": 1, "name": "lid"}],
        "images": [image(139, "val2017/000000000139.png", not_exhaustive_category_ids=[],
                         neg_category_ids=[77])],
        "annotations": [
            {"id": 21, "category_id": 301, "obj_ann_id": 20, "area": 8, "bbox": [2, 1, 4, 2],
             "segmentation": compressed(rectangle(2, 1, 4, 2)), **shared},
            {"id": 20, "category_id": 5, "obj_ann_id": 20, "area": 32, "bbox": [2, 1, 4, 8],
             "segmentation": [[2, 1, 6, 1, 6, 9, 2, 9]], **shared}],
        "categories": [
            {"id": 5, "name": "trash_can", "supercategory": "OBJECT"},
            {"id": 77, "name": "mouse_(computer_equipment)", "supercategory": "OBJECT"},
            {"id": 301, "name": "trash_can:inner_body", "supercategory": "PART"}]})


def partimagenet(folder):
    save_picture(folder / "images" / "n01440764_1.png", 6)
    save_json(folder / "val.json", {
        "images": [image(3, "n01440764_1.png", license=1, coco_url="")],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 0, "iscrowd": 0, "area": 9,
             "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]},
            {"id": 2, "image_id": 3, "category_id": 1, "iscrowd": 0, "area": 24,
             "bbox": [4, 2, 6, 4], "segmentation": [[4, 2, 10, 2, 10, 6, 4, 6]]},
            {"id": 3, "image_id": 3, "category_id": 23, "iscrowd": 0, "area": 4,
             "bbox": [12, 9, 2, 2], "segmentation": [[12, 9, 14, 9, 14, 11, 12, 11]]}],
        "categories": [
            {"id": 0, "name": "Quadruped Head", "supercategory": "Quadruped"},
            {"id": 1, "name": "Quadruped Body", "supercategory": "Quadruped"},
            {"id": 23, "name": "Car Tier", "supercategory": "Car"}]})


def pascal_part(folder):
    save_picture(folder / "JPEGImages" / "2008_000003.jpg", 7)
    part = [("part_name", object), ("mask", object)]
    thing = [("class", object), ("class_ind", object), ("mask", object), ("parts", object)]

    def structs(kind, rows):
        array = numpy.empty((1, len(rows)), dtype=kind)
        for index, row in enumerate(rows):
            array[0, index] = row
        return array

    parts = structs(part, [("lear", rectangle(2, 1, 2, 2)), ("torso", rectangle(3, 4, 5, 4))])
    wheels = structs(part, [("wheel_2", rectangle(12, 9, 2, 2))])
    objects = structs(thing, [
        ("dog", 12.0, rectangle(1, 1, 8, 9), parts),
        ("diningtable", 11.0, rectangle(0, 10, 11, 2), numpy.zeros((0, 0))),
        ("car", 7.0, rectangle(11, 6, 5, 6).astype(bool), wheels)])
    anno = structs([("imname", object), ("objects", object)], [("2008_000003", objects)])
    (folder / "Annotations_Part").mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "Annotations_Part" / "2008_000003.mat", {"anno": anno},
                     do_compression=True)


def label_maps(folder):
    save_picture(folder / "images" / "one.jpg", 8)
    labels = numpy.zeros((HEIGHT, WIDTH), numpy.uint8)
    labels[2:9, 1:14] = 1
    labels[7:11, 2:6] = 2
    labels[7:11, 9:13] = 2
    labels[0, :] = 255
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(folder / "labels" / "one.png")


def folder_form(folder):
    save_picture(folder / "garden.png", 9)
    Image.fromarray(rectangle(2, 2, 4, 4) * 255).save(folder / "garden.roof.png")
    save_json(folder / "dataset.json", {"name": "garden", "licence": "CC0 1.0", "source": "us"})
    save_json(folder / "words.vocabulary.json",
              {"objects": ["house", "tree"], "parts": ["roof"], "closed_world": True})
    save_json(folder / "garden.json", {
        "height": HEIGHT, "width": WIDTH, "vocabulary": "words",
        "unknown": compressed(rectangle(14, 0, 2, 12))["counts"],
        "annotations": [
            {"id": 2, "object": "house", "part": "roof", "parent": 1, "mask": "garden.roof.png"},
            {"id": 1, "object": "house", "counts": compressed(rectangle(1, 2, 6, 9))["counts"]},
            {"id": 3, "object": "tree", "box": [8.5, 1, 13, 11]}]})


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in ["sa1b", "folder"]:
        (folder / name).mkdir(parents=True, exist_ok=True)
    sa1b(folder / "sa1b")
    instances(folder / "coco")
    panoptic(folder / "coco_panoptic",
             [(1, "dog", 1), (2, "grass-merged", 0), (3, "sky-other-merged", 0)])
    panoptic(folder / "ade20k",
             [(1, "person, individual", 1), (2, "grass", 0), (3, "windowpane, window", 0)])
    objects365(folder / "objects365")
    paco(folder / "paco")
    partimagenet(folder / "partimagenet")
    pascal_part(folder / "pascal_part")
    label_maps(folder / "label_maps")
    folder_form(folder / "folder")


if __name__ == "__main__":
    main()
