"""deploy/demo.sh with stand-ins for the two programs: order of steps, failures, clean-up."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

SERVER = f"""#!{sys.executable}
import os, pathlib, signal, sys
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
here = pathlib.Path(sys.argv[0]).parent
(here / "server.pid").write_text(str(os.getpid()))
(here / "server.args").write_text(" ".join(sys.argv[1:]))
print("loading the model", flush=True)
if os.environ.get("STUB") == "server dies":
    print("cannot load", flush=True)
    sys.exit(3)
def stop(*_):
    (here / "server.stopped").touch()
    sys.exit(4 if os.environ.get("STUB") == "bad stop" else 0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("STUB") == "deaf" else stop)
pathlib.Path(args["--port_file"]).write_text("54321\\n")
while True:
    signal.pause()
"""

CLIENT = f"""#!{sys.executable}
import os, pathlib, sys
here = pathlib.Path(sys.argv[0]).parent
with open(here / "client.calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "health":
    asked = (here / "client.calls").read_text().count("health")
    sys.exit(0 if asked >= 3 and os.environ.get("STUB") != "never ready" else 1)
if sys.argv[1] == "info":
    print(os.environ.get("STUB_INFO", "can do        clicks, boxes"))
    sys.exit(0)
if os.environ.get("STUB") == "segment fails":
    sys.exit("segment: refused")
if os.environ.get("STUB") != "no picture":
    out = pathlib.Path(sys.argv[sys.argv.index("--out-dir") + 1])
    stem = pathlib.Path(sys.argv[sys.argv.index("--image") + 1]).stem
    (out / (stem + "_overlay.png")).write_bytes(b"\\x89PNG")
"""


class DemoTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.bin = pathlib.Path(scratch.name) / "programs of the demo"
        self.out = pathlib.Path(scratch.name) / "out"
        self.bin.mkdir()
        for name, text in (("semsam-server", SERVER), ("semsam", CLIENT)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def demo(self, stub="", **environment):
        return subprocess.run(
            ["bash", str(ROOT / "deploy/demo.sh"), "--bin", str(self.bin), "--out", str(self.out)],
            env={**os.environ, "STUB": stub, **environment},
            cwd="/", capture_output=True, text=True, timeout=60, check=False,
        )

    def assert_server_gone(self):
        pid = int((self.bin / "server.pid").read_text())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def assert_failed(self, done, pattern):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, pattern)
        self.assertNotIn("picture:", done.stdout)
        self.assert_server_gone()

    def calls(self):
        return (self.bin / "client.calls").read_text().splitlines()

    def test_says_where_the_pictures_lie(self):
        done = self.demo()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines()[-4:], [
            f"picture: {self.out}/{name}_overlay.png"
            for name in ("chelsea", "street", "everything/astronaut", "everything/street")])
        self.assertIn("server: ready at 127.0.0.1:54321", done.stdout)
        self.assertIn("--listen 127.0.0.1:0", (self.bin / "server.args").read_text())
        self.assertTrue((self.bin / "server.stopped").exists())
        self.assert_server_gone()
        self.assertEqual([call.split()[0] for call in self.calls()],
                         ["health"] * 3 + ["info"] + ["segment"] * 4)
        for call in self.calls()[4:]:
            image = pathlib.Path(call.split("--image ")[1].split(" --")[0])
            self.assertTrue(image.is_file(), image)

    def test_words_are_those_that_the_model_can_take(self):
        self.demo()
        self.assertFalse([call for call in self.calls() if "--objects" in call])
        able = "can do        clicks, boxes, object labels, part labels\nown words     "
        self.demo(STUB_INFO=able + "0 of objects, 0 of parts (@model)")
        self.assertEqual(sum("--objects house," in call for call in self.calls()), 3)
        self.assertEqual(sum("--objects cat," in call for call in self.calls()), 1)
        self.demo(STUB_INFO=able + "500 of objects, 90 of parts (@model)")
        self.assertEqual(sum("--objects @model --parts @model" in call for call in self.calls()), 2)
        self.assertEqual(sum("--objects @model --parts head," in call for call in self.calls()), 1)

    def test_untrained_weights_are_called_so(self):
        done = self.demo(SEMSAM_WEIGHTS="formula:swin-t")
        self.assertEqual(done.stdout.count("untrained"), 1)
        self.assertIn("--weights formula:swin-t", (self.bin / "server.args").read_text())

    def test_the_servers_own_model_is_the_default(self):
        done = self.demo()
        self.assertNotIn("untrained", done.stdout)
        self.assertIn("--weights default", (self.bin / "server.args").read_text())
        done = self.demo(SEMSAM_WEIGHTS="mine.safetensors")
        self.assertNotIn("untrained", done.stdout)
        self.assertIn("--weights mine.safetensors", (self.bin / "server.args").read_text())

    def test_picture_of_an_earlier_run_does_not_count(self):
        self.assertEqual(self.demo().returncode, 0)
        self.assert_failed(self.demo("no picture"), "no picture in")

    def test_server_that_ends_early(self):
        self.assert_failed(self.demo("server dies"), "ended before it was ready(.|\n)*cannot load")

    def test_server_that_never_gets_ready(self):
        done = self.demo("never ready", SEMSAM_DEMO_WAIT_S="1")
        self.assert_failed(done, "not ready within 1 s(.|\n)*loading the model")
        self.assertTrue((self.bin / "server.stopped").exists())

    def test_client_that_fails(self):
        self.assert_failed(self.demo("segment fails"), "segment: refused")
        self.assertTrue((self.bin / "server.stopped").exists())

    def test_server_that_stops_badly(self):
        self.assert_failed(self.demo("bad stop"), "the server ended with status 4")

    def test_server_that_does_not_stop_is_killed(self):
        done = self.demo("deaf", SEMSAM_DEMO_STOP_S="1")
        self.assert_failed(done, "the server ended with status 137")

    def test_interrupted_demo_stops_the_server(self):
        demo = subprocess.Popen(
            ["bash", str(ROOT / "deploy/demo.sh"), "--bin", str(self.bin), "--out", str(self.out)],
            env={**os.environ, "STUB": "never ready"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        # The first question about health comes once the server is up.
        self.assertEqual(demo.stdout.readline(), "== demo\n")
        while not (self.bin / "client.calls").exists():
            self.assertIsNone(demo.poll())
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=30)
        self.assertEqual(demo.returncode, 143)
        self.assert_server_gone()

    def test_missing_programs(self):
        (self.bin / "semsam").unlink()
        done = self.demo()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "no semsam-server and semsam in")


if __name__ == "__main__":
    unittest.main()
