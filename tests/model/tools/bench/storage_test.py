"""semsam-bench --storage: what its figures say, and what it refuses.

    storage_test.py SEMSAM_BENCH
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[4]
PICTURES = [ROOT / "deploy/demo/chelsea.jpg", ROOT / "deploy/demo/street.png"]
PROGRAM = sys.argv.pop(1)


def bench(*args):
    return subprocess.run([PROGRAM, "--weights", "default", "--blocks", "1",
                           "--storage_points", "2", *args], capture_output=True, text=True,
                          check=False)


class StorageTest(unittest.TestCase):
    def test_figures_of_every_format(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "figures.json"
            run = bench("--storage", ",".join(map(str, PICTURES)), "--json", path)
            self.assertEqual(run.returncode, 0, run.stderr)
            document = json.loads(path.read_text())
        self.assertEqual(document["weights"], "default")
        self.assertEqual(document["pictures"], list(map(str, PICTURES)))
        storage = document["storage"]
        self.assertGreater(storage["encode_ms"]["median"], 0)
        self.assertGreater(storage["copy_ms"]["median"], 0)
        rows = storage["formats"]
        self.assertEqual([row["name"] for row in rows], ["fp32", "fp16", "int8"])
        for row, share in zip(rows, [1, 2, 4]):
            self.assertAlmostEqual(row["bytes"] * share / rows[0]["bytes"], 1, delta=0.01)
            self.assertAlmostEqual(row["sessions_per_gb"] * row["bytes"], 1e9, delta=1)
            self.assertGreater(row["store_ms"]["median"], 0)
            self.assertGreater(row["load_ms"]["median"], 0)
            masks = row["all_masks"]
            # Four clicks, six levels, two pictures.
            self.assertEqual(masks["masks"], 48)
            self.assertLessEqual(row["sure_masks"]["masks"], masks["masks"])
            self.assertLessEqual(masks["min_iou"], masks["mean_iou"])
            self.assertGreater(masks["mean_iou"], 0.97)
            self.assertIn(f"\n{row['name']} ", run.stdout)
        exact = rows[0]["all_masks"]
        self.assertEqual([exact["min_iou"], exact["unchanged"]], [1, 1])
        self.assertEqual(exact["max_predicted_iou_difference"], 0)
        # Rounding shows, and the coarser one more.
        means = [row["all_masks"]["mean_iou"] for row in rows]
        self.assertEqual(means, sorted(set(means), reverse=True))

    def test_a_bad_picture_is_named(self):
        for picture in (ROOT / "no_such.png", ROOT / "README.md"):
            run = bench("--storage", f"{PICTURES[0]},{picture}")
            self.assertEqual(run.returncode, 1, run.stdout)
            self.assertIn(str(picture), run.stderr)

    def test_a_grid_without_points_is_refused(self):
        run = bench("--storage", str(PICTURES[0]), "--storage_points", "0")
        self.assertEqual(run.returncode, 1)
        self.assertIn("--storage_points", run.stderr)


if __name__ == "__main__":
    unittest.main()
