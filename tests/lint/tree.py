"""The files that a check looks at, and how it reports."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# ctest reads this status as "skipped".
SKIPPED = 77


def project_files(root, suffixes=()):
    """Paths relative to `root` of all files git knows or would add, sorted."""
    listed = subprocess.run(
        # The owner of a checkout is of no concern here (containers run as root).
        ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z",
         "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
    else:  # an unpacked archive
        skipped = {"build", "out", ".git"}
        names = [
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.relative_to(root).parts[0] not in skipped
        ]
    return sorted(
        name for name in set(names)
        if name and name.endswith(tuple(suffixes) or "") and (root / name).is_file()
    )


def read(root, name):
    return (root / name).read_text(encoding="utf-8", errors="replace")


def tool(name):
    """A program of the tests' Python environment; without the environment the check is skipped."""
    if sys.prefix == sys.base_prefix:
        print(f"no {name}: run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
        sys.exit(SKIPPED)
    return str(pathlib.Path(sys.prefix) / "bin" / name)


def finish(problems, checked):
    """Prints the findings; the exit status of a check. Having had nothing to check is one."""
    for problem in problems:
        print(problem)
    if not checked:
        print("nothing was checked")
    else:
        print(f"{checked} files, {len(problems)} problems")
    return 1 if problems or not checked else 0


def main(check):
    sys.exit(finish(*check(ROOT)))
