"""The program semsam-load against a server process: figures, files, comparison, errors.

  run_load_test.py --server PATH --load PATH --measure PATH --picture PATH
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ARGUMENTS = None
RUN = ["--sessions-per-s", "5", "--clicks-per-session", "4", "--think-time", "0.1", "--warmup",
       "0.5", "--duration", "2", "--everything-share", "0.1", "--cancel-share", "0.1",
       "--stall-share", "0.1", "--stall-for", "0.2", "--points-per-side", "2",
       "--picture-size", "96x64"]


class LoadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.server = subprocess.Popen([ARGUMENTS.server, "--listen", "127.0.0.1:0", "--drain_delay", "0s"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(cls.stop)
        cls.address = cls.server.stdout.readline().removeprefix("listening on ").strip()

    @classmethod
    def stop(cls):
        cls.server.send_signal(signal.SIGTERM)
        cls.server.wait()
        cls.server.stdout.close()

    def load(self, *arguments):
        return subprocess.run([ARGUMENTS.load, *arguments], check=False, capture_output=True,
                              text=True)

    def run_to(self, name, *arguments):
        report = self.scratch / f"{name}.json"
        plot = self.scratch / f"{name}.svg"
        done = self.load("--server", self.address, "--json", str(report), "--plot", str(plot),
                         "--label", name, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        xml.etree.ElementTree.parse(plot)
        return json.loads(report.read_text()), done.stdout, report

    def test_open_loop_and_comparison(self):
        report, table, a = self.run_to("a", *RUN)
        self.assertEqual(report["lost"], sum(kind["never_started"]
                                             for kind in report["calls"].values()), table)
        self.assertEqual(report["first_failure"], "")
        self.assertNotEqual(report["server"]["device"], "")
        click = report["calls"]["click"]
        self.assertGreater(click["ok"], 10)
        self.assertAlmostEqual(click["asked_per_s"], click["due"] / 2)
        latency = click["latency_ms"]
        self.assertLessEqual(latency["p50"], latency["p99"])
        self.assertLessEqual(latency["p99"], latency["max"])
        self.assertGreater(latency["p50"], 0)
        self.assertRegex(table, r"(?m)^click +\d")

        again, _, b = self.run_to("b", *RUN)
        for kind in report["calls"]:
            if kind != "delete":  # due when the last answer is there
                self.assertEqual(report["calls"][kind]["due"], again["calls"][kind]["due"], kind)
        plot = self.scratch / "both.svg"
        done = self.load("--compare", str(a), str(b), "--plot", str(plot))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^click +p99 ms +[\d.]+ +[\d.]+ +[\d.]+$")
        self.assertNotIn("differs", done.stdout)
        xml.etree.ElementTree.parse(plot)

    def test_closed_loop(self):
        report, _, _ = self.run_to("closed", "--closed-loop", "--sessions", "4", "--think-time",
                                   "0", "--warmup", "0.2", "--duration", "1", "--picture-size",
                                   "96x64", "--levels", "1,3")
        click = report["calls"]["click"]
        self.assertGreater(click["achieved_per_s"], 0)
        self.assertEqual(report["sessions_ready"], 4)
        self.assertEqual(report["lost"], 0)

    def test_files_are_uploaded(self):
        report, _, _ = self.run_to("files", *RUN, "--picture", ARGUMENTS.picture)
        self.assertEqual(report["options"]["pictures"], [ARGUMENTS.picture])
        self.assertEqual(report["calls"]["upload"]["failed"], 0)

    def test_errors_name_what_is_wrong(self):
        broken = self.scratch / "broken.json"
        broken.write_text("{}")
        for arguments, pattern in [
            (["--duration", "0", "--server", self.address], "duration"),
            (["--sessions-per-s", "many"], "sessions-per-s.*many"),
            (["--picture", "none.jpg", "--server", self.address], "none.jpg"),
            (["--picture-size", "640"], "picture-size"),
            (["--compare", "none.json", "none.json"], "none.json"),
            (["--compare", str(broken), str(broken)], "broken.json.*format"),
            (["--compare", str(broken)], "two reports"),
            (["--server", "127.0.0.1:1", "--duration", "1"], "UNAVAILABLE|DEADLINE_EXCEEDED"),
        ]:
            with self.subTest(arguments):
                done = self.load(*arguments)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, pattern)

    def measure(self, name, *arguments):
        figures = self.scratch / f"{name}.json"
        done = subprocess.run([sys.executable, ARGUMENTS.measure, name, "--server",
                               ARGUMENTS.server, "--load", ARGUMENTS.load, "--blocks", "2",
                               "--warmup", "0.2", "--seconds", "1", "--picture-size", "96x64",
                               "--json", str(figures), *arguments],
                              check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        blocks = json.loads(figures.read_text())["blocks"]
        self.assertEqual(len(blocks), 2)
        return blocks

    def test_batching_is_measured(self):
        for block in self.measure("batching", "--sessions", "4"):
            self.assertAlmostEqual(block["ratio"], block["batched"] / block["single"])

    def test_workers_are_measured(self):
        for block in self.measure("workers", "--sessions", "4"):
            self.assertAlmostEqual(block["ratio"], block["2 workers"] / block["one worker"])

    def test_clicks_beside_everything_mode_are_measured(self):
        for block in self.measure("background", "--sessions-per-s", "5", "--upload-allowance",
                                  "0", "--chunk-side", "1", "--background-side", "4"):
            self.assertGreater(block["chunk_ms"], 0)
            self.assertGreater(block["beside_p99"], 0)

    def test_help(self):
        done = self.load("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--closed-loop", done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--measure", required=True)
    parser.add_argument("--picture", required=True)
    ARGUMENTS = parser.parse_args()
    unittest.main(argv=[__file__])
