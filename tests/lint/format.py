"""C++ laid out as .clang-format says, by the pinned formatter of the tests' environment."""

import subprocess

import tree


def check(root, formatter="clang-format"):
    names = tree.project_files(root, (".h", ".cc", ".cu", ".cuh"))
    if not names:
        return [], 0
    done = subprocess.run(
        [formatter, "--dry-run", "-Werror", "--style=file", *names],
        cwd=root, stderr=subprocess.PIPE, text=True, check=False,
    )
    problems = [line for line in done.stderr.splitlines() if "error:" in line]
    if done.returncode and not problems:
        problems = [done.stderr.strip() or f"{formatter} failed"]
    return problems, len(names)


if __name__ == "__main__":
    FORMATTER = tree.tool("clang-format")
    tree.main(lambda root: check(root, FORMATTER))
