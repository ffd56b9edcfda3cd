#!/usr/bin/env python3
"""The table of MODEL_CARD.md out of results.json files of semsam-eval.

    table.py results.json...

Figures in percent; "deepest (random)" by the deepest point of a mask and by a random one.
"""

import json
import sys

HEAD = ("set", "masks", "Oracle", "six discs", "Max", "All-Granularity", "box",
        "object top-1 / 5", "part top-1 / 5", "3 masks")


def percent(metric):
    value = metric and metric["value"]
    return "–" if value is None or not metric["count"] else f"{100 * value:.0f}"


def both(deepest, random, key):
    return f"{percent(deepest[key])} ({percent(random[key])})"


def pair(row, key):
    first, fifth = percent(row[f"{key}_top1"]), percent(row[f"{key}_top5"])
    return "–" if first == "–" else f"{first} / {fifth}"


def three_masks(row):
    """The share of clicks on whole objects that got three masks or more, over all names."""
    metrics = [m["three_masks"] for name, m in row["categories"].items() if ": " not in name]
    count = sum(m["count"] for m in metrics)
    if not count:
        return "–"
    return f"{100 * sum(m['value'] * m['count'] for m in metrics) / count:.0f}"


def lines(results):
    rows = {}
    for row in results["interactive"]["rows"]:
        kind = "discs" if "discs" in row["predictor"] else "model"
        rows.setdefault(row["set"], {})[kind, row["clicks"]] = row
    for name, by in rows.items():
        if name == "all":
            continue
        model, random = by["model", "deepest"], by["model", "random"]
        yield (name, str(model["point_oracle"]["count"]), both(model, random, "point_oracle"),
               both(by["discs", "deepest"], by["discs", "random"], "point_oracle"),
               percent(model["point_max"]), percent(model["all_granularity"]),
               percent(model["box_max"]), pair(model, "object"), pair(model, "part"),
               three_masks(model))


def main(paths):
    table = [HEAD, ("---",) * len(HEAD)]
    for path in paths:
        with open(path, encoding="utf-8") as file:
            table.extend(lines(json.load(file)))
    for row in table:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
