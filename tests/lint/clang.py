"""What only clang sees: lock annotations, and the short list of .clang-tidy.

Works on the compile commands of the `lint` preset. A file is looked at again
only if it, a header of the project that it includes, its command, .clang-tidy
or the tool has changed: build/lint/checked holds what was found clean.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import tree

CHECKS = ("thread-safety", "tidy")


def configure(root, build):
    """Configures the lint preset and makes the generated headers; nothing is compiled."""
    subprocess.run(
        ["cmake", "--preset", "lint", "-Wno-dev", "--log-level=WARNING"], cwd=root, check=True,
        stdout=subprocess.DEVNULL,
    )
    listed = subprocess.run(
        ["ninja", "-C", str(build), "-t", "targets", "all"],
        check=True, capture_output=True, text=True,
    ).stdout
    headers = re.findall(r"^(\S+\.pb\.h): CUSTOM_COMMAND", listed, re.MULTILINE)
    if headers:
        subprocess.run(["ninja", "-C", str(build), *headers], check=True, stdout=subprocess.DEVNULL)


def compile_commands(root, build):
    """[(source relative to root, arguments)] of the project's own sources."""
    entries = json.loads((build / "compile_commands.json").read_text())
    own = []
    for entry in entries:
        source = pathlib.Path(entry["file"])
        if source.is_relative_to(build) or not source.is_relative_to(root):
            continue  # generated
        arguments = shlex.split(entry["command"])
        while not re.search(r"clang\+\+[-\d]*$", arguments[0]):
            arguments.pop(0)  # the launcher
        output = arguments.index("-o")
        del arguments[output : output + 2]
        own.append((str(source.relative_to(root)), arguments))
    return own


def version(tool):
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout


class Checked:
    """One file per check and source: digests of the inputs that were found clean."""

    def __init__(self, root, folder, salt):
        self._root, self._folder, self._salt = root, folder, salt
        folder.mkdir(parents=True, exist_ok=True)

    def _record(self, check, source):
        return self._folder / (check + "-" + source.replace("/", "+") + ".json")

    def _digest(self, names, arguments):
        digest = hashlib.sha256((self._salt + "\0".join(arguments)).encode())
        for name in names:
            digest.update(name.encode() + b"\0" + (self._root / name).read_bytes())
        return digest.hexdigest()

    def is_clean(self, check, source, arguments):
        try:
            record = json.loads(self._record(check, source).read_text())
            return record["digest"] == self._digest(record["inputs"], arguments)
        except (OSError, ValueError, KeyError):
            return False

    def note_clean(self, check, source, arguments, inputs):
        record = {"inputs": inputs, "digest": self._digest(inputs, arguments)}
        self._record(check, source).write_text(json.dumps(record))


def inputs_of(root, source, arguments):
    """The project's files that a translation unit reads."""
    listed = subprocess.run(
        [*arguments, "-MM", "-MF", "-"], cwd=root, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        return [source]
    names = listed.stdout.replace("\\\n", " ").split()[1:]
    own = {os.path.relpath(root / name, root) for name in names}
    return sorted(name for name in own if not name.startswith(("..", "build/")))


def run_one(root, build, check, source, arguments):
    """The findings of one check on one source, "" if none."""
    if check == "tidy":
        command = ["clang-tidy", "-p", str(build), "--quiet", source]
    else:
        # Newer clangs find deprecated code in the standard library's own headers.
        flags = ["-fsyntax-only", "-Wthread-safety", "-Werror", "-Wno-deprecated-declarations"]
        command = [*arguments, *flags]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("-j", type=int, default=os.cpu_count())
    args = parser.parse_args()
    root, build = tree.ROOT, tree.ROOT / "build" / "lint"
    configure(root, build)
    salt = version("clang-tidy" if args.check == "tidy" else "clang++")
    salt += (root / ".clang-tidy").read_text()
    checked = Checked(root, build / "checked", salt)
    commands = compile_commands(root, build)
    if args.check == "tidy":  # the slower one, for what runs at a user's
        commands = [entry for entry in commands if not entry[0].startswith("tests/")]
    todo = [entry for entry in commands if not checked.is_clean(args.check, *entry)]

    def work(entry):
        found = run_one(root, build, args.check, *entry)
        if not found:
            checked.note_clean(args.check, *entry, inputs_of(root, *entry))
        return found

    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        problems = [found for found in pool.map(work, todo) if found]
    print(f"{len(commands) - len(todo)} of {len(commands)} files unchanged")
    return tree.finish(problems, len(commands))


if __name__ == "__main__":
    sys.exit(main())
