"""What no file of the project may hold: other machines' names, this machine's paths."""

import re

import tree

# Hosts that a link in the documentation or a licence may name. The rest,
# package registries first of all, is configuration of the machine.
HOSTS = {
    "127.0.0.1",
    "localhost",
    "www.apache.org",
    "creativecommons.org",
    "arxiv.org",
    "github.com",
    "json-schema.org",
    "www.w3.org",
}
URL = re.compile(r"https?://(?:[^/\s@\"'`<>]*@)?([A-Za-z0-9.-]+\.[A-Za-z0-9-]+|localhost)\b")
# Built of pieces so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.])/" + r"(?:work|root|home/\w+|mnt/\w+)" + r"/[\w.]")

CODE = (".h", ".cc", ".cu", ".cuh", ".py", ".sh", ".cmake")
LONG_LINES = 400


def check(root):
    problems, checked = [], 0
    for name in tree.project_files(root):
        data = (root / name).read_bytes()
        if b"\0" in data:
            continue  # a picture
        checked += 1
        text = data.decode("utf-8", "replace")
        lines = text.splitlines()
        if name.endswith(CODE) and len(lines) > LONG_LINES:
            print(f"warning: {name} has {len(lines)} lines; {LONG_LINES} are enough for a file")
        for number, line in enumerate(lines, 1):
            for host in URL.findall(line):
                reserved = host.endswith((".example", ".test", ".invalid"))
                if host not in HOSTS and not reserved and not host.startswith("127."):
                    problems.append(f"{name}:{number}: names the host {host}")
            for path in MACHINE_PATHS.findall(line):
                problems.append(f"{name}:{number}: holds a path of one machine ({path}...)")
            if name.endswith(CODE) and line != line.rstrip():
                problems.append(f"{name}:{number}: ends in white space")
        if text and not text.endswith("\n") and name.endswith(CODE):
            problems.append(f"{name}: the last line has no end")
    return problems, checked


if __name__ == "__main__":
    tree.main(check)
