"""model/weights/default/evaluate.sh and its table: what is run, and what the rows say.

    evaluate_script_test.py SEMSAM_EVAL
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[4]
FOLDER = ROOT / "model/weights/default"
PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else None

# Writes down how it was called, and results of one set named by the last of its --out.
STUB = f"""#!{sys.executable}
import json, pathlib, sys
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(args["--out"])
out.mkdir(parents=True)
(out / "args").write_text(" ".join(sys.argv[1:]))
def metric(value, count=4):
    return {{"value": value, "count": count}}
def row(predictor, clicks, oracle):
    none = metric(None, 0)
    return {{"set": out.name, "predictor": predictor, "clicks": clicks,
            "point_oracle": metric(oracle), "point_max": metric(0.25),
            "all_granularity": metric(0.5), "box_max": none,
            "object_top1": metric(0.75), "object_top5": metric(1.0),
            "part_top1": none, "part_top5": none,
            "categories": {{"cat": {{"three_masks": metric(0.5, 2)}},
                           "dog": {{"three_masks": metric(1.0, 6)}},
                           "cat: head": {{"three_masks": metric(0.0, 9)}}}}}}
rows = [row(p, c, v) for p, c, v in [("lite", "deepest", 0.914), ("lite", "random", 0.886),
        ("six discs", "deepest", 0.5), ("six discs", "random", 0.375)]]
rows.append(dict(row("lite", "deepest", 0.1), set="all"))
(out / "results.json").write_text(json.dumps({{"interactive": {{"rows": rows}}}}))
"""


class EvaluateScriptTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def evaluate(self, *args):
        stub = self.folder / "stub"
        stub.write_text(STUB)
        stub.chmod(0o755)
        return subprocess.run(["bash", FOLDER / "evaluate.sh", *args], capture_output=True,
                              text=True, check=False,
                              env={**os.environ, "SEMSAM_EVAL": str(stub), "SEMSAM_WEIGHTS": "w"})

    def test_every_source_is_run_and_has_a_row(self):
        out = self.folder / "out"
        run = self.evaluate("D", "P", out, "--limit", "7")
        self.assertEqual(run.returncode, 0, run.stderr)
        called = {name: (out / name / "args").read_text() for name in ("data", "packs", "scenes")}
        for arguments in called.values():
            self.assertIn("--weights w ", arguments)
            self.assertTrue(arguments.endswith("--limit 7"), arguments)
        self.assertIn("--data D/pets,D/cats,", called["data"])
        self.assertNotIn("--split", called["data"])  # the held-out tenth
        self.assertIn("--data folder:images=P/pets-held-out,folder:", called["packs"])
        self.assertIn("--split all", called["packs"])
        rows = run.stdout.splitlines()
        self.assertEqual(len(rows), 5)
        self.assertEqual(rows[2], "| data | 4 | 91 (89) | 50 (38) | 25 | 50 | – | 75 / 100 | – "
                                  "| 88 |")
        self.assertTrue(rows[4].startswith("| scenes | "))

    def test_a_failed_run_makes_no_table(self):
        (self.folder / "out/packs").mkdir(parents=True)  # the stub makes its folder
        run = self.evaluate("D", "P", self.folder / "out")
        self.assertNotEqual(run.returncode, 0)
        self.assertNotIn("|", run.stdout)

    def test_without_folders_it_says_how_it_is_called(self):
        run = self.evaluate("D")
        self.assertEqual(run.returncode, 2)
        self.assertIn("evaluate.sh DATA PACKS OUT", run.stderr)

    @unittest.skipUnless(PROGRAM, "no semsam-eval was named")
    def test_the_table_reads_what_the_program_writes(self):
        out = self.folder / "real"
        subprocess.run([PROGRAM, "--weights", "formula:swin-tiny-extended", "--no-vocabulary", "--data",
                        "scenes:count=2,side=64,seed=5", "--split", "all", "--out", out],
                       check=True, capture_output=True)
        table = subprocess.run([sys.executable, FOLDER / "table.py", out / "results.json"],
                               check=True, capture_output=True, text=True).stdout.splitlines()
        self.assertEqual(len(table), 3)
        self.assertTrue(table[2].startswith("| scenes | "), table)
        self.assertEqual(table[2].count("|"), table[0].count("|"))


if __name__ == "__main__":
    unittest.main()
