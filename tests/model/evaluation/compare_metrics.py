"""Our metrics against pycocotools and panopticapi, on random cases.

  compare_metrics.py --probe PROGRAM [--cases N] [--seed S]
  compare_metrics.py --score PROGRAM [--cases N] [--seed S]
  compare_metrics.py --freeze FILE       writes a few cases with their numbers

The first PROGRAM (metrics_probe) gets each case as JSON and answers with our numbers;
the second (semsam-eval) scores files of annotations and predictions. Every number of
every class must agree to 1e-6. mIoU is compared with NumPy.
"""

import argparse
import contextlib
import io
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import panopticapi.evaluation as panoptic
    from panopticapi.utils import id2rgb
    from PIL import Image
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError as error:
    print(f"skipped: {error}; run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
    sys.exit(77)  # ctest reads this as "skipped"

from metric_cases import make_cases, polygon_case, pq_case

TOLERANCE = 1e-6
DIGITS = 12


def number(value):
    """-1 and NaN stand for "no truth"."""
    value = float(value)
    return None if value == -1 or math.isnan(value) else round(value, DIGITS)


# -- average precision ------------------------------------------------------------


def expected_ap(case):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(
            {key: case[key] for key in ("images", "annotations", "categories")}))
        truth.createIndex()
        found = truth.loadRes(json.loads(json.dumps(case["results"])))
        evaluation = COCOeval(truth, found, "segm" if case["kind"] == "mask" else "bbox")
        evaluation.params.useCats = 0 if case["agnostic"] else 1
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"].mean(axis=1)  # over recall: [T, K, A, M]
    recall = evaluation.eval["recall"]
    categories = {}
    for k, category in enumerate([-1] if case["agnostic"] else evaluation.params.catIds):
        grids = {"precision": precision[:, k], "recall": recall[:, k]}
        # Ours names a class once it has been seen.
        seen = [o for o in case["annotations"] + case["results"]
                if case["agnostic"] or o["category_id"] == category]
        if seen:
            categories[str(category)] = {
                key: [number(v) for v in grid.reshape(-1)] for key, grid in grids.items()}
    return {"stats": [number(v) for v in evaluation.stats], "categories": categories}


def expected_ap_summary(case):
    """The part of it that a report holds."""
    full = expected_ap(case)
    thresholds, areas, limits = 10, 4, 3
    classes = {}
    for category, grids in full["categories"].items():
        # All areas, the most detections.
        row = np.array(grids["precision"], dtype=object).reshape(thresholds, areas, limits)[:, 0, -1]
        known = row[0] is not None
        classes[category] = [number(sum(row) / thresholds), row[0], row[5]] if known else [None] * 3
    return {"stats": full["stats"], "classes": classes}


# -- panoptic quality -------------------------------------------------------------


def expected_pq(case):
    categories = {c["id"]: c for c in case["categories"]}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        pairs = []
        for index, picture in enumerate(case["pictures"]):
            pair = []
            for side in ("truth", "prediction"):
                ids = np.array(picture[side]).reshape(picture["height"], picture["width"])
                name = f"{side}{index}.png"
                Image.fromarray(id2rgb(ids)).save(pathlib.Path(folder) / name)
                segments = json.loads(json.dumps(picture[side + "_segments"]))
                pair.append({"file_name": name, "image_id": index, "segments_info": segments})
            pairs.append(pair)
        stat = panoptic.pq_compute_single_core(0, pairs, folder, folder, categories)
    result = {}
    for name, things in (("all", None), ("things", True), ("stuff", False)):
        try:
            means, per_class = stat.pq_average(categories, isthing=things)
            result[name] = [number(means[key]) for key in ("pq", "sq", "rq")] + [means["n"]]
            if things is None:
                result["per_class"] = {
                    str(c): [number(scores[key]) for key in ("pq", "sq", "rq")]
                    for c, scores in per_class.items()
                    if stat[c].tp + stat[c].fp + stat[c].fn}
        except ZeroDivisionError:  # no segment of that kind
            result[name] = [None, None, None, 0]
    return result


# -- mean IoU ---------------------------------------------------------------------


def expected_miou(case):
    truth = np.concatenate([p["truth"] for p in case["pictures"]])
    prediction = np.concatenate([p["prediction"] for p in case["pictures"]])[truth != case["ignore"]]
    truth = truth[truth != case["ignore"]]
    counts = np.zeros((case["classes"],) * 2)
    np.add.at(counts, (truth, prediction), 1)
    right, real = counts.diagonal(), counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        iou = right / (real + counts.sum(axis=0) - right)
        accuracy = right / real
    known = real > 0
    if not known.any():
        return {"mean_iou": None, "mean_accuracy": None, "weighted_iou": None,
                "pixel_accuracy": None, "classes": [number(v) for v in iou]}
    return {"mean_iou": number(iou[known].mean()), "mean_accuracy": number(accuracy[known].mean()),
            "weighted_iou": number((iou[known] * real[known]).sum() / real.sum()),
            "pixel_accuracy": number(right.sum() / real.sum()),
            "classes": [number(v) for v in iou]}


# -- the program, from files ------------------------------------------------------


def write_json(path, value):
    path.write_text(json.dumps(value))
    return str(path)


def write_ap(folder, case):
    truth = {key: case[key] for key in ("annotations", "categories")}
    truth["images"] = [image | {"file_name": f"{image['id']}.jpg"} for image in case["images"]]
    return ["--kind", {"mask": "instances", "box": "boxes"}[case["kind"]],
            "--gt", write_json(folder / "truth.json", truth),
            "--predictions", write_json(folder / "results.json", case["results"])
            ] + (["--class-agnostic"] if case["agnostic"] else [])


def write_pq(folder, case):
    files = {}
    for side in ("truth", "prediction"):
        (folder / side).mkdir()
        annotations = []
        for index, picture in enumerate(case["pictures"]):
            ids = np.array(picture[side]).reshape(picture["height"], picture["width"])
            Image.fromarray(id2rgb(ids)).save(folder / side / f"{index}.png")
            annotations.append({"image_id": index, "file_name": f"{index}.png",
                                "segments_info": picture[side + "_segments"]})
        files[side] = {"annotations": annotations}
    files["truth"]["categories"] = [c | {"name": f"class {c['id']}"} for c in case["categories"]]
    files["truth"]["images"] = [
        {"id": i, "file_name": f"{i}.jpg", "height": p["height"], "width": p["width"]}
        for i, p in enumerate(case["pictures"])]
    # The folder of the truth is found by the name of its file.
    return ["--kind", "panoptic", "--gt", write_json(folder / "truth.json", files["truth"]),
            "--predictions", write_json(folder / "found.json", files["prediction"]),
            "--predictions-folder", str(folder / "prediction")]


def write_miou(folder, case):
    for side in ("truth", "prediction"):
        (folder / side).mkdir()
        for index, picture in enumerate(case["pictures"]):
            row = np.array([picture[side]], dtype=np.uint16)
            Image.fromarray(row).save(folder / side / f"{index}.png")
    return ["--kind", "semantic", "--gt", str(folder / "truth"),
            "--predictions", str(folder / "prediction"),
            "--classes", str(case["classes"]), "--ignore", str(case["ignore"])]


def read_figures(report, keys):
    return [report[key]["value"] for key in keys]


def read_ap(report):
    figures = read_figures(report, ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"))
    figures += [figure["value"] for figure in report["ar"]]
    figures += read_figures(report, ("ar_small", "ar_medium", "ar_large"))
    return {"stats": figures, "classes": {
        str(c["id"]): read_figures(c, ("ap", "ap50", "ap75")) for c in report["classes"]}}


def read_pq(report):
    result = {name: read_figures(report[name], ("pq", "sq", "rq")) + [report[name]["pq"]["count"]]
              for name in ("all", "things", "stuff")}
    seen = [c for c in report["classes"] if c["pq"]["count"]]
    if seen:  # as panopticapi gives none without a segment
        result["per_class"] = {str(c["id"]): read_figures(c, ("pq", "sq", "rq")) for c in seen}
    return result


def read_miou(report):
    keys = ("mean_iou", "mean_accuracy", "weighted_iou", "pixel_accuracy")
    return {key: report[key]["value"] for key in keys} | {
        "classes": [c["iou"]["value"] for c in report["classes"]]}


FILES = {"ap": (write_ap, read_ap), "pq": (write_pq, read_pq), "miou": (write_miou, read_miou)}


def score_case(program, case):
    write, read = FILES[case["metric"]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        report = folder / "report.json"
        command = [program, "score"] + write(folder, case) + ["--out", str(report)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise RuntimeError(f"{case['name']}: {answer.stderr}")
        return read(json.loads(report.read_text()))


# -- all of them ------------------------------------------------------------------

EXPECTED = {"ap": expected_ap, "pq": expected_pq, "miou": expected_miou}


def differences(actual, expected, at):
    if isinstance(expected, dict):
        if set(actual) != set(expected):
            return [f"{at}: has {sorted(actual)}, expected {sorted(expected)}"]
        return [d for key in expected for d in differences(actual[key], expected[key], f"{at}.{key}")]
    if isinstance(expected, list):
        if len(actual) != len(expected):
            return [f"{at}: {len(actual)} numbers, expected {len(expected)}"]
        return [d for i, value in enumerate(expected)
                for d in differences(actual[i], value, f"{at}[{i}]")]
    if actual is None or expected is None:
        return [] if actual is expected else [f"{at}: {actual}, expected {expected}"]
    return [] if abs(actual - expected) <= TOLERANCE else [f"{at}: {actual}, expected {expected}"]


def count_numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return sum(count_numbers(v) for v in value)
    return int(value is not None)


def measure(probe, cases):
    answer = subprocess.run([probe], input=json.dumps(cases), capture_output=True, text=True,
                            check=False)
    if answer.returncode != 0:
        raise RuntimeError(answer.stderr)
    return json.loads(answer.stdout)


def compare(cases, results, wanted, seed):
    failures, compared = [], {}
    for case, actual in zip(cases, results, strict=True):
        expected = wanted[case["metric"]](case)
        failures += differences(actual, expected, case["name"])
        compared[case["metric"]] = compared.get(case["metric"], 0) + count_numbers(expected)
    for line in failures[:20]:
        print(line)
    print(f"{len(cases)} cases (seed {seed}), numbers compared: {compared}; "
          f"{len(failures)} differ by more than {TOLERANCE}")
    return 1 if failures else 0


def freeze(path):
    cases = make_cases(1, 1, images=4, side=40)
    cases.append(pq_case(np.random.default_rng(2), "panoptic 1"))
    frozen = [{"case": case, "expected": EXPECTED[case["metric"]](case)} for case in cases]
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in frozen)
    path.write_text(f"[\n{lines}\n]\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe")
    parser.add_argument("--score")
    parser.add_argument("--cases", type=int, default=12, help="rounds of nine cases")
    parser.add_argument("--seed", type=int, default=20240611)
    parser.add_argument("--freeze", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.freeze:
        return freeze(arguments.freeze)
    cases = make_cases(arguments.seed, arguments.cases)
    if arguments.probe:
        return compare(cases, measure(arguments.probe, cases), EXPECTED, arguments.seed)
    if arguments.score:
        cases += [polygon_case(np.random.default_rng([arguments.seed, i, 1]), f"polygons {i}")
                  for i in range(arguments.cases)]
        results = [score_case(arguments.score, case) for case in cases]
        wanted = EXPECTED | {"ap": expected_ap_summary}
        return compare(cases, results, wanted, arguments.seed)
    return parser.error("--probe, --score or --freeze")


if __name__ == "__main__":
    sys.exit(main())
