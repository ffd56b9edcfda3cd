"""deploy/setup.sh with a stand-in for the package manager: what it asks for, and when."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = ROOT / "deploy/setup.sh"
NOBODY = 65534

# Says "installed" for the packages named in INSTALLED, as dpkg-query does.
DPKG_QUERY = """#!/bin/sh
for last; do :; done
case " $INSTALLED " in *" $last "*) printf installed ;; *) exit 1 ;; esac
"""
APT_GET = """#!/bin/sh
echo "apt-get $DEBIAN_FRONTEND $*"
"""
SUDO = """#!/bin/sh
echo sudo
exec "$@"
"""


class SetupTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.folder.chmod(0o755)
        # A copy, for a user who may not read the checkout.
        self.script = self.folder / "deploy/setup.sh"
        self.script.parent.mkdir()
        shutil.copy(SETUP, self.script)
        self.add_program("dpkg-query", DPKG_QUERY)
        self.add_program("apt-get", APT_GET)

    def add_program(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def call(self, command, user=None, path="/usr/bin:/bin", **environment):
        """Runs a shell command after sourcing setup.sh, in a bare environment."""
        return subprocess.run(
            ["/bin/bash", "-c", f'source "$1"; {command}', "setup_test", str(self.script)],
            env={"PATH": f"{self.folder}:{path}", "HOME": str(self.folder / "home"), **environment},
            cwd="/", user=user, capture_output=True, text=True, timeout=60, check=False,
        )

    def bare_path(self):
        """A PATH without sudo and package managers."""
        bare = self.folder / "bare"
        bare.mkdir()
        for name in ("env", "dirname"):
            (bare / name).symlink_to(f"/usr/bin/{name}")
        return str(bare)

    def test_installed_packages_cost_no_call(self):
        done = self.call("install_packages a b", INSTALLED="a b c")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "apt: all 2 packages are installed\n")

    def test_other_distribution_is_told_what_it_needs(self):
        (self.folder / "dpkg-query").unlink()
        bare = self.bare_path()
        done = self.call("install_packages a b", path=bare)
        self.assertEqual(done.returncode, 0)
        self.assertIn("what these hold must be there: a b", done.stdout)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_only_missing_packages_are_installed(self):
        done = self.call("install_packages a b c d", INSTALLED="b d")
        self.assertEqual(done.stdout.splitlines(), [
            "apt: installing a c",
            "apt-get  update -qq",
            "apt-get noninteractive install -y -qq --no-install-recommends a c",
        ])

    @unittest.skipIf(os.geteuid() != 0, "needs root, to stop being it")
    def test_sudo_is_used_where_there_is_one(self):
        bare = self.bare_path()
        done = self.call("install_packages a", user=NOBODY, path=bare)
        self.assertEqual(done.returncode, 1)
        self.assertIn("as root: apt-get install --no-install-recommends a", done.stderr)
        self.add_program("sudo", SUDO)
        done = self.call("install_packages a", user=NOBODY, path=bare)
        self.assertEqual(done.stdout.splitlines()[1:3], ["sudo", "apt-get  update -qq"])
        self.assertEqual(done.returncode, 0)

    def test_prometheus_is_unpacked_once_and_not_installed(self):
        # "download" puts a package there that holds promtool.
        self.add_program("apt-get", """#!/bin/sh
[ "$1" = download ] || exit 1
mkdir -p p/DEBIAN p/usr/bin && touch p/usr/bin/promtool && chmod +x p/usr/bin/promtool
printf 'Package: prometheus\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: b\n' \
  > p/DEBIAN/control
dpkg-deb --root-owner-group -b p prometheus_1_all.deb > /dev/null && rm -r p
""")
        for said in ("prometheus: unpacking the package\n", ""):
            done = self.call("unpack_prometheus", SEMSAM_CACHE_DIR=str(self.folder / "cache"))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, said, ""))
        self.assertEqual([path.name for path in (self.folder / "cache").iterdir()], ["prometheus"])
        self.assertTrue((self.folder / "cache/prometheus/usr/bin/promtool").exists())

    def test_without_prometheus_the_set_up_goes_on(self):
        self.add_program("apt-get", "#!/bin/sh\nexit 100\n")
        self.add_program("sudo", SUDO)
        done = self.call("unpack_prometheus && echo on", SEMSAM_CACHE_DIR=str(self.folder / "cache"))
        self.assertEqual(done.stdout.splitlines()[-2:],
                         ["prometheus: not to be had; its test will be skipped", "on"])

    def test_order_of_the_places_for_the_cache(self):
        everything = {"SEMSAM_CACHE_DIR": "/no/a", "XDG_CACHE_HOME": "/no/b", "HOME": "/no/c"}
        self.assertEqual(self.call("cache_dir", **everything).stdout, "/no/a\n")
        everything["SEMSAM_CACHE_DIR"] = ""
        self.assertEqual(self.call("cache_dir", **everything).stdout, "/no/b/semsam\n")
        everything["XDG_CACHE_HOME"] = ""
        self.assertEqual(self.call("cache_dir", **everything).stdout, "/no/c/.cache/semsam\n")

    def test_no_place_for_the_cache_is_an_error(self):
        for command in ("cache_dir", "venv_dir", "make_venv"):
            done = self.call(command, HOME="")
            self.assertEqual(done.returncode, 1)
            self.assertIn("set SEMSAM_CACHE_DIR or HOME", done.stderr)

    def test_own_torch_is_found_and_checked(self):
        header = self.folder / "lt/include/torch/csrc/api/include/torch/torch.h"
        header.parent.mkdir(parents=True)
        header.touch()
        (self.folder / "lt/share/cmake").mkdir(parents=True)
        own = "has_own_torch && echo own || echo none"
        for prefix in (f"/x:{self.folder}/lt", f"{self.folder}/lt/share/cmake"):
            self.assertEqual(self.call(own, CMAKE_PREFIX_PATH=prefix).stdout, "own\n")
        self.assertEqual(self.call(own, SEMSAM_TORCH_DIR=f"{self.folder}/lt").stdout, "own\n")
        self.assertEqual(self.call(own, CMAKE_PREFIX_PATH="/x").stdout, "none\n")
        self.assertEqual(self.call(own).stdout, "none\n")
        done = self.call("has_own_torch", SEMSAM_TORCH_DIR="/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SEMSAM_TORCH_DIR=/nowhere holds no include/torch", done.stderr)

    def test_unknown_option_is_refused(self):
        done = subprocess.run(
            ["bash", str(SETUP), "--fast"], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown option --fast", done.stderr)


if __name__ == "__main__":
    unittest.main()
