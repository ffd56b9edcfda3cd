"""The protocol, by buf's standard rules."""

import subprocess
import sys

import tree

if __name__ == "__main__":
    sys.exit(subprocess.run([tree.tool("buf"), "lint", "proto"], cwd=tree.ROOT, check=False).returncode)
