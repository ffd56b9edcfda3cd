"""The linters find what they are for: each is shown a tree with a fault in it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import clang
import format as layout
import includes
import text
import tree


class LintTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.write("model/base/types.h", "#include <string>\n")
        self.write("server/batching/queue.h", '#include "model/base/types.h"\n')

    def write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def problems(self, check):
        return check.check(self.root)[0]


class IncludesTest(LintTest):
    def assert_one(self, pattern):
        problems = self.problems(includes)
        self.assertEqual(len(problems), 1, problems)
        self.assertRegex(problems[0], pattern)

    def test_clean_tree(self):
        self.write("tests/model/base/types_test.cc",
                   '#include <gtest/gtest.h>\n#include "model/base/types.h"\n')
        self.assertEqual(self.problems(includes), [])

    def test_arrow_upwards(self):
        self.write("model/base/bad.h", '#include "server/batching/queue.h"\n')
        self.assert_one(r"model/base/bad.h:1: model/base may not include server/batching/queue.h")

    def test_arrow_sideways(self):
        self.write("server/metrics/bad.h", '// why\n  #  include "server/batching/queue.h"\n')
        self.assert_one(r"server/metrics/bad.h:2: server/metrics may not include")

    def test_arrows_are_followed(self):
        self.write("server/rpc/good.h", '#include "model/base/types.h"\n')
        self.assertEqual(self.problems(includes), [])

    def test_protobuf_wall(self):
        for header in ('"semsam/v1/mask.pb.h"', "<grpcpp/grpcpp.h>", '"google/rpc/status.pb.h"'):
            with self.subTest(header):
                self.write("server/pipeline/bad.cc", f"#include {header}\n")
                self.assertRegex(self.problems(includes)[0], "protobuf and gRPC .* stops at")

    def test_torch_wall(self):
        for header in ("<torch/torch.h>", "<ATen/ATen.h>", "<c10/util/Exception.h>"):
            with self.subTest(header):
                self.write("model/image/bad.cc", f"#include {header}\n")
                self.assert_one("Torch .* stops at")

    def test_opencv_wall_also_in_tests(self):
        self.write("tests/server/batching/bad_test.cc", "#include <opencv2/core.hpp>\n")
        self.assert_one("OpenCV .* stops at")
        self.write("tests/server/batching/bad_test.cc", "")
        self.write("tests/model/image/good_test.cc", "#include <opencv2/core.hpp>\n")
        self.assertEqual(self.problems(includes), [])

    def test_test_reaches_beyond_what_it_tests(self):
        self.write("tests/model/base/bad_test.cc", '#include "server/batching/queue.h"\n')
        self.assert_one("model/base may not include")

    def test_relative_include(self):
        self.write("model/base/bad.h", '#include "types.h"\n')
        self.assert_one("by its path from the root")

    def test_folder_without_entry(self):
        self.write("model/extra/new.h", "")
        self.assert_one("model/extra/new.h: its folder has no entry")

    def test_every_arrow_has_an_end(self):
        for targets in includes.ARROWS.values():
            self.assertLessEqual(set(targets), set(includes.ARROWS))


class TextTest(LintTest):
    def test_clean_tree(self):
        self.assertEqual(self.problems(text), [])

    def test_foreign_host(self):
        self.write("README.md", "see https:" + "//index.registry.net/simple\n")
        self.assertIn("names the host index.registry.net", self.problems(text)[0])

    def test_host_behind_a_password(self):
        self.write("README.md", "see https:" + "//me:secret@registry.net/simple\n")
        self.assertIn("names the host registry.net", self.problems(text)[0])

    def test_known_and_reserved_hosts(self):
        self.write("README.md", "https://creativecommons.org/x http://127.0.0.1:80 https://a.test/\n")
        self.assertEqual(self.problems(text), [])

    def test_machine_path(self):
        self.write("deploy/a.sh", "cd /" + "home/me/project\n")
        self.assertIn("path of one machine", self.problems(text)[0])

    def test_relative_path_is_none(self):
        self.write("deploy/a.sh", "cd ../home/me; ls a/" + "work/b\n")
        self.assertEqual(self.problems(text), [])


class ClangTest(LintTest):
    LOCKED = """
      struct __attribute__((capability("mutex"))) M {
        void Lock() __attribute__((acquire_capability()));
        void Unlock() __attribute__((release_capability()));
      };
      struct Counter {
        M mutex;
        int value __attribute__((guarded_by(mutex))) = 0;
        void Add() { %s value++; %s }
      };
      void Use(Counter& c) { c.Add(); }
    """

    def thread_safety(self, source):
        self.write("a.cc", source)
        return clang.run_one(self.root, self.root, "thread-safety", "a.cc", ["clang++", "a.cc"])

    def test_guarded_member_without_lock(self):
        self.assertIn("requires holding mutex", self.thread_safety(self.LOCKED % ("", "")))

    def test_guarded_member_with_lock(self):
        self.assertEqual(self.thread_safety(self.LOCKED % ("mutex.Lock();", "mutex.Unlock();")), "")

    def tidy(self, source):
        self.write(".clang-tidy", (tree.ROOT / ".clang-tidy").read_text())
        self.write("a.cc", source)
        command = f'{{"directory": "{self.root}", "file": "a.cc", "command": "clang++ -std=c++20 -c a.cc"}}'
        self.write("compile_commands.json", f"[{command}]")
        return clang.run_one(self.root, self.root, "tidy", "a.cc", [])

    def test_use_after_move(self):
        source = """#include <string>
          #include <utility>
          std::string Take(std::string text) {
            std::string taken = std::move(text);
            return taken + %s;
          }
        """
        self.assertIn("bugprone-use-after-move", self.tidy(source % "text"))
        self.assertEqual(self.tidy(source % "taken"), "")

    def test_clean_file_is_looked_at_again_when_an_input_changes(self):
        checked = clang.Checked(self.root, self.root / "checked", "salt")
        source, inputs = "server/batching/queue.h", ["model/base/types.h"]
        self.assertFalse(checked.is_clean("tidy", source, ["c"]))
        checked.note_clean("tidy", source, ["c"], inputs)
        self.assertTrue(checked.is_clean("tidy", source, ["c"]))
        self.assertFalse(checked.is_clean("tidy", source, ["c", "-DX"]))
        self.assertFalse(checked.is_clean("thread-safety", source, ["c"]))
        other_tool = clang.Checked(self.root, self.root / "checked", "new salt")
        self.assertFalse(other_tool.is_clean("tidy", source, ["c"]))
        self.write("model/base/types.h", "#include <vector>\n")
        self.assertFalse(checked.is_clean("tidy", source, ["c"]))

    def test_inputs_are_the_headers_of_the_project(self):
        self.write("a.cc", '#include <string>\n#include "server/batching/queue.h"\n')
        found = clang.inputs_of(self.root, "a.cc", ["clang++", f"-I{self.root}", "-c", "a.cc"])
        self.assertEqual(found, ["a.cc", "model/base/types.h", "server/batching/queue.h"])


class LayoutTest(LintTest):
    def test_badly_laid_out_file(self):
        formatter = tree.tool("clang-format")
        self.write(".clang-format", (tree.ROOT / ".clang-format").read_text())
        self.write("model/base/bad.cc", "int  main( ){return 0 ;}\n")
        self.assertRegex("\n".join(layout.check(self.root, formatter)[0]), r"bad\.cc:1:")
        self.write("model/base/bad.cc", "int main() { return 0; }\n")
        self.assertEqual(layout.check(self.root, formatter)[0], [])


class ProtoTest(LintTest):
    def test_name_against_the_rules(self):
        buf = tree.tool("buf")
        for message, status in (("GoodName", 0), ("bad_name", 100)):
            self.write("proto/semsam/v1/a.proto",
                       f'syntax = "proto3";\npackage semsam.v1;\nmessage {message} {{}}\n')
            self.write("proto/buf.yaml", (tree.ROOT / "proto/buf.yaml").read_text())
            done = subprocess.run([buf, "lint", "proto"], cwd=self.root, check=False,
                                  capture_output=True)
            self.assertEqual(done.returncode, status, done.stdout)


class ReportTest(unittest.TestCase):
    def test_nothing_checked_is_a_failure(self):
        script = "import tree; tree.main(lambda root: ([], 0))"
        done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True,
                              cwd=pathlib.Path(__file__).parent)
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()
