"""deploy/fetch_wheels.py against a local index: resume, refusal, recovery."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

import fetch_wheels  # noqa: E402
import wheel_index  # noqa: E402
from wheel_index import FetchError, Settings, Wheel, WheelIndex  # noqa: E402

WHEEL = "some_lib-1.2.3-py3-none-any.whl"


def wheel_bytes(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6))
            archive.writestr(info, content)
    return buffer.getvalue()


class LocalIndex:
    """A simple index on the loopback interface whose misbehaviour is set by fields."""

    def __init__(self):
        self.files = {}  # name -> bytes
        self.as_json = True
        self.honours_range = True
        self.cut_after = None  # bytes sent before the connection is dropped
        self.cuts_left = 0
        self.seen = []  # (path, Range header, Authorization header)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/simple/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def file_requests(self):
        return [entry for entry in self.seen if entry[0].startswith("/files/")]

    def answer(self, handler):
        self.seen.append(
            (handler.path, handler.headers.get("Range"), handler.headers.get("Authorization"))
        )
        if handler.path.startswith("/simple/"):
            self._answer_page(handler)
        else:
            self._answer_file(handler)

    def _answer_page(self, handler):
        project = handler.path.split("/")[2]
        names = [n for n in self.files if n.split("-")[0].replace("_", "-") == project]
        if not names:
            handler.send_error(404)
            return
        sums = {name: hashlib.sha256(self.files[name]).hexdigest() for name in names}
        if self.as_json:
            kind = "application/vnd.pypi.simple.v1+json"
            files = [
                {"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": sums[n]}}
                for n in names
            ]
            body = json.dumps({"files": files}).encode()
        else:
            kind = "text/html"
            body = "".join(
                f'<a href="../../files/{n}#sha256={sums[n]}">{n}</a>' for n in names
            ).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer_file(self, handler):
        body = self.files[handler.path.rsplit("/", 1)[1]]
        start = 0
        wanted = handler.headers.get("Range")
        if wanted and self.honours_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1))
            if start >= len(body):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(body)}")
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        rest = body[start:]
        if self.cuts_left > 0:
            self.cuts_left -= 1
            rest = rest[: self.cut_after]
        handler.wfile.write(rest)


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.server = LocalIndex()
        self.addCleanup(self.server.close)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        noise = random.Random(7).randbytes(300_000)
        self.body = wheel_bytes({"lib/a.bin": noise, "doc/b.txt": b"not kept"})
        self.server.files[WHEEL] = self.body
        self.wheel = Wheel(WHEEL, hashlib.sha256(self.body).hexdigest())
        self.index = self.make_index()

    def make_index(self, **settings):
        settings.setdefault("indexes", (self.server.url,))
        return WheelIndex(Settings(retry_pause_s=0, timeout_s=10, **settings), say=lambda _: None)

    def part(self, content):
        path = self.folder / (WHEEL + ".part")
        path.write_bytes(content)
        return path

    def assert_fetched(self, index=None):
        path = (index or self.index).fetch(self.wheel, self.folder)
        self.assertEqual(path.read_bytes(), self.body)
        self.assertEqual(os.listdir(self.folder), [WHEEL])


class DownloadTest(FetchTest):
    def test_whole_file_from_json_index(self):
        self.assert_fetched()

    def test_whole_file_from_html_index(self):
        self.server.as_json = False
        self.assert_fetched()

    def test_continues_a_part_file_of_an_earlier_run(self):
        self.part(self.body[:123_456])
        self.assert_fetched()
        self.assertEqual([entry[1] for entry in self.server.file_requests()], ["bytes=123456-"])

    def test_takes_a_part_file_that_is_already_whole(self):
        self.part(self.body)
        self.assert_fetched()

    def test_starts_again_if_the_part_file_is_too_long(self):
        self.part(self.body + b"more")
        self.assert_fetched()

    def test_starts_again_if_the_server_knows_no_ranges(self):
        self.server.honours_range = False
        self.part(self.body[:1000])
        self.assert_fetched()

    def test_starts_again_if_the_part_file_is_damaged(self):
        self.part(b"x" * 1000)
        self.assert_fetched()
        self.assertEqual([entry[1] for entry in self.server.file_requests()], ["bytes=1000-", None])

    def test_resumes_within_a_run_when_connections_drop(self):
        self.server.cut_after, self.server.cuts_left = 70_000, 3
        self.assert_fetched()
        ranges = [entry[1] for entry in self.server.file_requests()]
        self.assertEqual(ranges, [None, "bytes=70000-", "bytes=140000-", "bytes=210000-"])

    def test_gives_up_when_no_byte_comes_and_keeps_what_it_has(self):
        part = self.part(self.body[:1000])
        self.server.cut_after, self.server.cuts_left = 0, 1000
        with self.assertRaisesRegex(FetchError, "run it again to resume"):
            self.index.fetch(self.wheel, self.folder)
        self.assertEqual(part.read_bytes(), self.body[:1000])
        self.assertEqual(len(self.server.file_requests()), wheel_index.MAX_IDLE_ATTEMPTS)

    def test_refuses_a_wrong_hash_and_leaves_nothing(self):
        wrong = Wheel(WHEEL, "0" * 64)
        with self.assertRaisesRegex(FetchError, "SHA-256"):
            self.index.fetch(wrong, self.folder)
        self.assertEqual(os.listdir(self.folder), [])

    def test_replaces_a_damaged_file_of_the_cache(self):
        (self.folder / WHEEL).write_bytes(b"damaged")
        self.assert_fetched()

    def test_names_what_the_index_lacks(self):
        with self.assertRaisesRegex(FetchError, "no index of pip offers absent"):
            self.index.fetch(Wheel("absent-1.0-py3-none-any.whl", ""), self.folder)
        with self.assertRaisesRegex(FetchError, "has no some_lib-9.9"):
            self.index.fetch(Wheel("some_lib-9.9-py3-none-any.whl", ""), self.folder)

    def test_find_links_folder_needs_no_index(self):
        with tempfile.TemporaryDirectory() as links:
            (pathlib.Path(links) / WHEEL).write_bytes(self.body)
            self.assert_fetched(self.make_index(indexes=(), find_links=(links,)))
        self.assertEqual(self.server.seen, [])

    def test_password_of_the_index_is_sent_to_it(self):
        url = self.server.url.replace("//", "//me:s%40fe@")
        self.assert_fetched(self.make_index(indexes=(url,)))
        self.assertEqual(self.server.seen[0][2], "Basic bWU6c0BmZQ==")


class TreeTest(FetchTest):
    def setUp(self):
        super().setUp()
        self.table = {
            "lib": {
                "machine": "",
                "keep": ["lib/"],
                "wheels": [{"file": self.wheel.file, "sha256": self.wheel.sha256}],
            }
        }

    def fill(self, machine="x86_64", **options):
        """As main() does; returns the trees that were not up to date."""
        with fetch_wheels.Cache(self.folder) as cache, contextlib.redirect_stdout(io.StringIO()):
            stale = fetch_wheels.stale_trees(cache, self.table, **options)
            fetch_wheels.fill(cache, self.index, self.table, stale, machine)
        return list(stale)

    def assert_filled(self):
        tree = self.folder / "lib"
        files = sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file())
        self.assertEqual(files, [fetch_wheels.STAMP, "lib/a.bin"])
        self.assertEqual(list(self.folder.glob(".tree-*")), [])

    def test_second_run_asks_nobody(self):
        self.assertEqual(self.fill(), ["lib"])
        self.assert_filled()
        self.server.seen.clear()
        self.assertEqual(self.fill(), [])
        self.assertEqual(self.server.seen, [])

    def test_files_keep_the_time_of_packing(self):
        self.fill()
        first = (self.folder / "lib/lib/a.bin").stat().st_mtime
        (self.folder / "lib" / fetch_wheels.STAMP).unlink()
        self.assertEqual(self.fill(), ["lib"])
        self.assertEqual((self.folder / "lib/lib/a.bin").stat().st_mtime, first)

    def test_recovers_from_an_unpack_that_was_killed(self):
        # Killed while unpacking, and killed between the two renames.
        (self.folder / ".tree-lib-abc" / "lib").mkdir(parents=True)
        (self.folder / ".tree-lib-old").mkdir()
        (self.folder / ".tree-lib-old" / "stale").write_text("")
        self.assertEqual(self.fill(), ["lib"])
        self.assert_filled()

    def test_replaces_a_tree_without_stamp(self):
        (self.folder / "lib").mkdir()
        (self.folder / "lib" / "stale.txt").write_text("left by something else")
        self.assertEqual(self.fill(), ["lib"])
        self.assert_filled()

    def test_failing_unpack_leaves_the_old_tree(self):
        self.fill()
        self.server.files[WHEEL] = b"this is no zip file"
        sha256 = hashlib.sha256(self.server.files[WHEEL]).hexdigest()
        self.table["lib"]["wheels"][0]["sha256"] = sha256
        with self.assertRaises(zipfile.BadZipFile):
            self.fill()
        self.assertTrue((self.folder / "lib/lib/a.bin").exists())

    def test_new_pin_replaces_the_tree(self):
        self.fill()
        body = wheel_bytes({"lib/c.bin": b"new"})
        name = "some_lib-2.0-py3-none-any.whl"
        self.server.files[name] = body
        self.table["lib"]["wheels"] = [{"file": name, "sha256": hashlib.sha256(body).hexdigest()}]
        self.assertEqual(self.fill(), ["lib"])
        self.assertEqual((self.folder / "lib/lib/c.bin").read_bytes(), b"new")
        self.assertFalse((self.folder / "lib/lib/a.bin").exists())

    def test_skipped_tree_is_left_out(self):
        self.assertEqual(self.fill(skip=["lib"]), [])
        self.assertFalse((self.folder / "lib").exists())

    def test_tree_of_a_group_comes_on_request(self):
        (entry,) = self.table.values()
        entry["group"] = "training"
        self.assertEqual(self.fill(), [])
        self.assertEqual(self.fill(groups=("training",)), ["lib"])
        self.assert_filled()
        self.assertEqual(self.fill(groups=("training",)), [])

    def test_other_machine_is_told_what_to_do(self):
        self.table["lib"]["machine"] = "x86_64"
        with self.assertRaisesRegex(FetchError, "SEMSAM_TORCH_DIR"):
            self.fill(machine="aarch64")
        self.assertEqual(self.server.seen, [])


class CommandTest(FetchTest):
    def run_command(self, **environment):
        table = self.folder / "table.json"
        table.write_text(json.dumps({
            "lib": {
                "machine": "",
                "keep": ["lib/"],
                "wheels": [{"file": self.wheel.file, "sha256": self.wheel.sha256}],
            }
        }))
        clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("PIP_")}
        clean.update(PIP_CONFIG_FILE=os.devnull, NO_PROXY="127.0.0.1", **environment)
        return subprocess.run(
            [sys.executable, str(ROOT / "deploy/fetch_wheels.py"), "--table", str(table)],
            env=clean, capture_output=True, text=True, timeout=120, check=False,
        )

    def test_uses_the_index_of_pip_and_the_cache_of_the_environment(self):
        done = self.run_command(PIP_INDEX_URL=self.server.url, SEMSAM_CACHE_DIR=str(self.folder))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("downloading into", done.stdout)
        self.assertTrue((self.folder / "lib/lib/a.bin").exists())

    def test_failure_is_one_line_and_a_status(self):
        del self.server.files[WHEEL]
        done = self.run_command(PIP_INDEX_URL=self.server.url, SEMSAM_CACHE_DIR=str(self.folder))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Afetch_wheels: .*some-lib.*\n\Z")

    def test_no_place_for_the_cache_is_an_error(self):
        done = self.run_command(HOME="", XDG_CACHE_HOME="", SEMSAM_CACHE_DIR="")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SEMSAM_CACHE_DIR", done.stderr)


class GpuTest(FetchTest):
    def test_pins_are_read_from_the_wheels(self):
        def offer(name, requires=()):
            metadata = "".join(f"Requires-Dist: {line}\n" for line in requires)
            info = "-".join(name.split("-")[:2]) + ".dist-info/METADATA"
            self.server.files[name] = wheel_bytes({info: metadata, f"nvidia/{name}.txt": name})

        linux = "py3-none-manylinux_2_27_x86_64.whl"
        torch = f"torch-9.0-{linux}"
        offer(torch, [
            "filelock",
            'cuda-toolkit[cublas,cufft]==13.0.2; platform_system == "Linux"',
            'nvidia-nccl-cu13==2.28.9; platform_system == "Linux"',
        ])
        offer("cuda_toolkit-13.0.2-py2.py3-none-any.whl", [
            "nvidia-cublas==13.1.0.*; (sys_platform == 'linux') and extra == 'all'",
            "nvidia-cublas==13.1.0.*; (sys_platform == 'linux') and extra == 'cublas'",
            "nvidia-cufft==12.0.0.*; (sys_platform == 'linux') and extra == 'cufft'",
            "nvidia-cusolver==12.0.4.*; (sys_platform == 'linux') and extra == 'cusolver'",
        ])
        offer(f"nvidia_nccl_cu13-2.28.9-{linux}")
        offer(f"nvidia_cublas-13.1.0.3-{linux}")
        offer(f"nvidia_cublas-13.2.0.1-{linux}")
        offer("nvidia_cublas-13.1.0.3-py3-none-win_amd64.whl")
        offer(f"nvidia_cufft-12.0.0-{linux}")
        sha256 = hashlib.sha256(self.server.files[torch]).hexdigest()
        table = {
            "libtorch": {
                "machine": "x86_64",
                "keep": ["nvidia/"],
                "wheels": [{"file": torch, "sha256": sha256}],
            }
        }
        with fetch_wheels.Cache(self.folder) as cache, contextlib.redirect_stdout(io.StringIO()):
            stale = fetch_wheels.stale_trees(cache, table, gpu=True)
            fetch_wheels.fill(cache, self.index, table, stale, "x86_64")
            # What holds the GPU's libraries holds the CPU's.
            self.assertEqual(fetch_wheels.stale_trees(cache, table, gpu=True), {})
            self.assertEqual(fetch_wheels.stale_trees(cache, table), {})
        unpacked = sorted(path.name for path in (self.folder / "libtorch/nvidia").iterdir())
        self.assertEqual(unpacked, sorted([
            f"{torch}.txt",
            "cuda_toolkit-13.0.2-py2.py3-none-any.whl.txt",
            f"nvidia_nccl_cu13-2.28.9-{linux}.txt",
            f"nvidia_cublas-13.1.0.3-{linux}.txt",
            f"nvidia_cufft-12.0.0-{linux}.txt",
        ]))


class TableTest(unittest.TestCase):
    """The table that is shipped."""

    def test_keeps_what_the_build_looks_for(self):
        table = json.loads((ROOT / "deploy/wheels.json").read_text())
        searched = "\n".join((ROOT / name).read_text() for name in (
            "deploy/cmake/SemsamDependencies.cmake", "model/text/CMakeLists.txt",
            "proto/CMakeLists.txt", "tests/CMakeLists.txt"))
        for tree, entry in table.items():
            self.assertIn("${SEMSAM_CACHE}/" + tree, searched)
            for wheel in entry["wheels"]:
                self.assertRegex(wheel["sha256"], "^[0-9a-f]{64}$")
        # One file of a wheel of many, and the licence that goes with it.
        vocabulary, licenses = table["clip"]["keep"]
        folder, name = vocabulary.rsplit("/", 1)
        self.assertIn("${SEMSAM_CACHE}/clip/" + folder, searched)
        self.assertIn(name, searched)
        self.assertRegex(licenses, r"\.dist-info/licenses/$")


if __name__ == "__main__":
    unittest.main()
