"""Writes polygon_samples.json: polygons, and what pycocotools fills them to.

  make_polygon_samples.py > polygon_samples.json

Needs numpy and pycocotools (tests/peer/requirements.txt).
"""

import json

import numpy
from pycocotools import mask

SEED = 20230710
EDGE_CASES = [
    ([[0, 0, 8, 0, 8, 6, 0, 6]], 6, 8),  # the whole image
    ([[2, 2, 5, 2, 5, 4, 2, 4]], 6, 8),
    ([[2.5, 2.5, 2.5, 2.5, 2.5, 2.5]], 6, 8),  # a point
    ([[1, 3, 6, 3, 6, 3]], 6, 8),  # a line
    ([[-4, -3, 12, -3, 12, 9, -4, 9]], 6, 8),  # around the image
    ([[-9, 1, -2, 1, -2, 5]], 6, 8),  # left of it
    ([[9, 1, 15, 1, 15, 5]], 6, 8),  # right of it
    ([[1, 5.9, 7, 5.9, 7, 6.5, 1, 6.5]], 6, 8),  # its lower border
    ([[1, 1, 6, 5, 6, 1, 1, 5]], 6, 8),  # crosses itself
    ([[1, 1, 4, 1, 4, 4, 1, 4], [3, 3, 7, 3, 7, 6, 3, 6]], 6, 8),  # a union
    ([[0.4, 0.4, 0.6, 0.4, 0.6, 0.6, 0.4, 0.6]], 1, 1),
]


def random_case(random):
    height, width = (int(n) for n in random.integers(1, 40, 2))
    polygons = []
    for _ in range(random.integers(1, 4)):
        points = random.integers(3, 12)
        low, high = (-0.3, 1.3) if random.random() < 0.4 else (0, 1)
        xy = random.uniform(low, high, (points, 2)) * (width, height)
        digits = int(random.integers(0, 4))
        polygons.append([round(float(n), digits) for n in xy.reshape(-1)])
    return polygons, height, width


def main():
    random = numpy.random.default_rng(SEED)
    samples = []
    for polygons, height, width in EDGE_CASES + [random_case(random) for _ in range(200)]:
        # Three points at least: two read as a box there.
        filled = mask.merge(mask.frPyObjects(polygons, height, width))
        samples.append({"height": height, "width": width, "polygons": polygons,
                        "counts": filled["counts"].decode()})
    lines = ",\n".join(json.dumps(sample, separators=(",", ":")) for sample in samples)
    print(f"[\n{lines}\n]")


if __name__ == "__main__":
    main()
