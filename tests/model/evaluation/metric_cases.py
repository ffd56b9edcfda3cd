"""Random cases that compare_metrics.py measures: annotations and results of pictures for
average precision, maps of segments for panoptic quality, label maps for mean IoU. A case is
JSON; the same generator gives the same cases.
"""

import numpy as np
from pycocotools import mask as masks

# -- average precision ------------------------------------------------------------


def draw(random, height, width, box, kind):
    """A rectangle, an ellipse or dots within `box` (x, y, w, h)."""
    x, y, w, h = box
    rows, columns = np.mgrid[0:height, 0:width]
    inside = (columns >= x) & (columns < x + w) & (rows >= y) & (rows < y + h)
    if kind == "ellipse":
        inside &= ((columns + 0.5 - x - w / 2) / max(w / 2, 0.5)) ** 2 + (
            (rows + 0.5 - y - h / 2) / max(h / 2, 0.5)) ** 2 <= 1
    elif kind == "dots":
        inside &= random.random((height, width)) < 0.5
    elif kind == "empty":
        inside[:] = False
    return inside


def encode(pixels):
    code = masks.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


def random_box(random, height, width):
    w, h = int(random.integers(1, width + 1)), int(random.integers(1, height + 1))
    x, y = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
    return [x, y, w, h]


def near(random, box, height, width):
    """The box or one beside it; with whole numbers, so that IoUs meet thresholds."""
    if random.random() < 0.2:
        return list(box)
    reach = max(1, min(box[2], box[3]) // 4)
    x, y, w, h = (int(v + random.integers(-reach, reach + 1)) for v in box)
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    return [x, y, min(max(w, 1), width - x), min(max(h, 1), height - y)]


def random_annotations(random, image, categories, first_id):
    annotations = []
    for _ in range(random.integers(0, 7)):
        box = random_box(random, image["height"], image["width"])
        kind = random.choice(["box", "ellipse", "dots", "empty"], p=[0.4, 0.4, 0.15, 0.05])
        pixels = draw(random, image["height"], image["width"], box, kind)
        # Areas of files differ from those of masks, and meet the bounds of ranges.
        area = random.choice([float(pixels.sum()), 1024.0, 9216.0, 500.5, 20000.0])
        annotations.append({
            "id": first_id + len(annotations), "image_id": image["id"],
            "category_id": int(random.choice(categories)), "bbox": [float(v) for v in box],
            "segmentation": encode(pixels), "area": float(area),
            "iscrowd": int(random.random() < 0.15)})
    return annotations


def random_results(random, image, annotations, categories, options):
    results = []
    count = 150 if options["many"] else int(random.integers(0, 12))
    for _ in range(count):
        if annotations and random.random() < 0.7:
            truth = annotations[random.integers(len(annotations))]
            box, category = truth["bbox"], truth["category_id"]
        else:
            box, category = random_box(random, image["height"], image["width"]), None
        if category is None or random.random() < 0.15:
            category = int(random.choice(categories))
        box = near(random, box, image["height"], image["width"])
        kind = random.choice(["box", "ellipse", "dots", "empty"], p=[0.5, 0.4, 0.07, 0.03])
        result = {"image_id": image["id"], "category_id": category,
                  # Few distinct scores: ties within and across pictures.
                  "score": float(random.integers(0, 6)) / 5 if options["ties"]
                  else float(random.random())}
        if options["boxes"]:
            result["bbox"] = [float(v) for v in box]
        if options["masks"]:
            result["segmentation"] = encode(
                draw(random, image["height"], image["width"], box, kind))
        results.append(result)
    return results


def ap_case(random, name, kind, images=6, side=120, **wanted):
    options = {"ties": bool(random.integers(2)), "many": False, "boxes": kind == "box",
               "masks": kind == "mask", "zero_id": False, "agnostic": False} | wanted
    categories = [3, 1, 7, 18]
    case = {"name": name, "metric": "ap", "kind": kind, "agnostic": options["agnostic"],
            "images": [], "annotations": [], "results": [],
            "categories": [{"id": c, "name": str(c)} for c in categories]}
    # Ids that are not in order.
    for image_id in random.permutation(np.arange(1, images + 1) * 7):
        image = {"id": int(image_id), "height": int(random.integers(1, side + 1)),
                 "width": int(random.integers(1, side + 1))}
        case["images"].append(image)
        # Category 18 is never true.
        own = random_annotations(random, image, categories[:3],
                                 len(case["annotations"]) + (0 if options["zero_id"] else 1))
        case["annotations"] += own
        case["results"] += random_results(random, image, own, categories, options)
    if not case["results"]:  # which pycocotools cannot read
        return ap_case(random, name, kind, images, side, **wanted)
    random.shuffle(case["results"])
    return case


def polygon_case(random, name):
    """Truths as files mostly have them: polygons, some in several pieces."""
    case = ap_case(random, name, "mask")
    for annotation in case["annotations"]:
        if annotation["iscrowd"]:
            continue
        x, y, w, h = annotation["bbox"]
        annotation["segmentation"] = []
        for _ in range(random.integers(1, 4)):
            angles = np.sort(random.random(int(random.integers(3, 9)))) * 2 * np.pi
            corners = np.stack([x + w / 2 + np.cos(angles) * w * random.uniform(0.2, 0.5),
                                y + h / 2 + np.sin(angles) * h * random.uniform(0.2, 0.5)], axis=1)
            annotation["segmentation"].append(np.round(corners, 2).reshape(-1).tolist())
    return case


# -- panoptic quality -------------------------------------------------------------


def random_map(random, height, width, count):
    """Blocks of segments, some of them void (0)."""
    cells = random.integers(0, count + 1, (4, 5))
    rows = np.sort(random.integers(0, 4, height))
    columns = np.sort(random.integers(0, 5, width))
    return cells[np.ix_(rows, columns)]


def recolour(random, ids):
    """Each id becomes another of up to 24 bits; returns the map and the new ids."""
    names = {0: 0}
    for value in np.unique(ids):
        if value:
            names[int(value)] = int(random.integers(1, 2**24))
    lookup = np.array([names.get(i, 0) for i in range(int(ids.max()) + 1)], dtype=np.int64)
    return lookup[ids], {new for old, new in names.items() if new}


def pq_picture(random, categories):
    height, width = (int(v) for v in random.integers(1, 40, 2))
    if random.random() < 0.4:  # several crowds of one class
        categories, crowds = categories[:1], 0.6
    else:
        crowds = 0.2
    truth = random_map(random, height, width, int(random.integers(0, 7)))
    noise = random.random((height, width)) < random.choice([0.02, 0.3])
    prediction = np.where(noise, random_map(random, height, width, 6), truth)
    truth, truth_ids = recolour(random, truth)
    prediction, predicted_ids = recolour(random, prediction)
    of_truth = {}
    truth_segments = []
    for segment in sorted(truth_ids):
        area = int((truth == segment).sum())
        of_truth[segment] = int(random.choice(categories))
        if random.random() < 0.1:
            area += int(random.integers(0, 5))  # what the file says need not be so
        if random.random() < 0.1:
            continue  # drawn, not listed
        truth_segments.append({"id": segment, "category_id": of_truth[segment], "area": area,
                               "iscrowd": int(random.random() < crowds)})
    if truth_segments and random.random() < 0.1:  # listed, not drawn
        truth_segments.append({"id": 2**24 - 1, "category_id": int(random.choice(categories)),
                               "area": 9, "iscrowd": 0})
    random.shuffle(truth_segments)
    prediction_segments = []
    for segment in sorted(predicted_ids):
        under, counts = np.unique(truth[prediction == segment], return_counts=True)
        category = of_truth.get(int(under[counts.argmax()]))
        if category is None or random.random() < 0.1:
            category = int(random.choice(categories))
        prediction_segments.append({"id": segment, "category_id": category})
    return {"height": height, "width": width, "truth": truth.reshape(-1).tolist(),
            "truth_segments": truth_segments, "prediction": prediction.reshape(-1).tolist(),
            "prediction_segments": prediction_segments}


def pq_case(random, name, pictures=6):
    categories = [{"id": c, "isthing": int(random.integers(2))} for c in (1, 2, 5, 90, 200)]
    # The last class never occurs.
    ids = [c["id"] for c in categories[:-1]]
    return {"name": name, "metric": "pq", "categories": categories,
            "pictures": [pq_picture(random, ids) for _ in range(pictures)]}


# -- mean IoU ---------------------------------------------------------------------


def miou_case(random, name):
    classes, ignore = int(random.integers(1, 12)), int(random.choice([255, 65535]))
    case = {"name": name, "metric": "miou", "classes": classes, "ignore": ignore, "pictures": []}
    for _ in range(random.integers(1, 5)):
        pixels = int(random.integers(1, 400))
        truth = random.integers(0, classes, pixels)
        prediction = np.where(random.random(pixels) < 0.6, truth,
                              random.integers(0, classes, pixels))
        truth = np.where(random.random(pixels) < 0.1, ignore, truth)
        truth[truth == classes // 2] = ignore  # a class that is only predicted
        case["pictures"].append({"truth": truth.tolist(), "prediction": prediction.tolist()})
    return case


# -- all of them ------------------------------------------------------------------


def make_cases(seed, rounds, **small):
    cases = []
    for i in range(rounds):
        random = np.random.default_rng([seed, i])
        cases += [
            ap_case(random, f"masks {i}", "mask", **small),
            ap_case(random, f"boxes {i}", "box", **small),
            ap_case(random, f"masks without classes {i}", "mask", agnostic=True, **small),
            ap_case(random, f"masks with boxes {i}", "mask", boxes=True, **small),
            ap_case(random, f"boxes of masks {i}", "box", boxes=False, masks=True, **small),
            ap_case(random, f"ids from 0 {i}", "box", zero_id=True, **small),
            pq_case(random, f"panoptic {i}", **({"pictures": 3} if small else {})),
            miou_case(random, f"semantic {i}"),
        ]
        if not small:
            cases.append(ap_case(random, f"more than 100 {i}", "box", images=3, many=True))
    return cases
