"""The architecture, checked on every #include.

ARROWS is the layer table of the README as data: a folder may include itself,
what its arrows name, and what those may include in turn. WALLS says where the
headers of each third-party library may appear at all.
"""

import re

import tree

CODE = (".h", ".cc", ".cu", ".cuh")

# A folder (or file) and what it may include; the longest match counts.
ARROWS = {
    "model/base": [],
    "model/segmenter.h": ["model/base"],
    "model/image": ["model/base"],
    "model/data": ["model/image"],
    "model/evaluation": ["model/image"],
    "model/text": ["model/base"],
    # gzip is in model/text.
    "model/cook": ["model/data", "model/text"],
    "model/weights": ["model/base"],
    "model/torch": ["model/base"],
    "model/ops": ["model/torch"],
    "model/net": [
        "model/segmenter.h",
        "model/torch",
        "model/ops",
        "model/weights",
        "model/text",
    ],
    "model/training": ["model/net", "model/data", "model/evaluation", "model/text"],
    "model/tools": ["model/net", "model/image"],
    "model/tools/eval": ["model/tools", "model/data", "model/evaluation", "model/text"],
    "model/tools/train": ["model/tools", "model/training", "model/cook"],
    "server/batching": ["model/base"],
    "server/cache": ["model/segmenter.h", "server/batching"],
    "server/metrics": ["model/base"],
    "server/pipeline": [
        "model/image",
        "model/text",
        "model/segmenter.h",
        "server/batching",
        "server/cache",
        "server/metrics",
    ],
    "server/log": ["model/base"],
    "server/rpc": ["server/pipeline", "server/log", "proto"],
    "server/app": ["server/rpc"],
    "server/main.cc": ["server/app", "model/net"],
    "proto": [],
    "client": ["proto"],
    "client/cli": ["client"],
    # Flags are the command line's; time and locks the base's.
    "client/load": ["client/cli", "model/base"],
    "tests/fakes": ["server/pipeline"],
    # Random numbers of the reference come from the weight formula.
    "tests/model/evaluation": ["model/evaluation", "model/weights"],
    # The published everything-mode is network and post-processing together.
    "tests/model/net": ["model/net", "model/image"],
    # A whole server in the process, so that its model can be held.
    "tests/client/load": ["client/load", "server/app", "tests/fakes"],
    # Scratch folders and fixtures.
    "tests/model/data": ["model/data"],
    "tests/model/tools/train": ["model/tools/train", "tests/model/data"],
    "tests/model/tools/eval": ["model/tools/eval", "tests/model/data"],
    # The published losses are those of network outputs.
    "tests/model/training": ["model/training", "tests/model/net", "tests/model/data"],
}

# Libraries by how their headers are spelt, and the folders that may see them.
# Tests may see what the folder they test may see.
WALLS = {
    "protobuf and gRPC": (
        r"(grpc|grpcpp|google/(protobuf|rpc|api))/|.*\.pb\.h$",
        ["server/rpc", "server/main.cc", "client", "tests/server"],
    ),
    "Torch": (
        r"(torch|ATen|c10|caffe2)/",
        ["model/torch", "model/ops", "model/net", "model/training", "model/tools"],
    ),
    "ICU": (r"unicode/", ["model/text"]),
    "OpenCV": (r"opencv2/", ["model/image", "client/cli"]),
    "librsvg and pugixml": (r"librsvg/|cairo|pugixml", ["model/cook"]),
    "prometheus-cpp": (r"prometheus/", ["server/metrics", "server/main.cc"]),
    "GoogleTest": (r"(gtest|gmock)/", ["tests"]),
}

# Headers that the build makes; whose folder they count to.
GENERATED = (r"(semsam/v1|google/rpc)/\w+(\.grpc)?\.pb\.h$", "proto")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def within(name, places):
    return any(name == place or name.startswith(place + "/") for place in places)


def layer_of(name):
    """The entry of ARROWS that `name` belongs to, or None."""
    matches = [layer for layer in ARROWS if within(name, [layer])]
    return max(matches, key=len, default=None)


def reachable(layer):
    seen, pending = set(), [layer]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending.extend(ARROWS[current])
    return seen


def tested_folder(name):
    """tests/model/base/x_test.cc -> model/base/x_test.cc: a test has the rights of what it tests."""
    return name.removeprefix("tests/")


def check_file(root, name, text):
    problems = []
    subject = tested_folder(name)
    is_test = subject != name
    layer = layer_of(name) or layer_of(subject)
    if layer is None and not is_test:
        return [f"{name}: its folder has no entry in ARROWS of tests/lint/includes.py"]
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        where, quoted = f"{name}:{line}", match.group(1)
        header = quoted or match.group(2)
        for library, (spelling, places) in WALLS.items():
            allowed = within(name, places) or within(subject, places)
            if re.match(spelling, header) and not allowed:
                problems.append(f"{where}: {library} ({header}) stops at {', '.join(places)}")
        if re.match(GENERATED[0], header):
            target = GENERATED[1]
        elif (root / header).is_file():
            target = layer_of(header)
            if target is None and not (is_test and header.startswith("tests/")):
                problems.append(f"{where}: {header} is in no layer")
        elif header.startswith(".") or (quoted and ((root / name).parent / header).is_file()):
            problems.append(f"{where}: include {header} by its path from the root")
            continue
        else:
            continue  # another library's
        if is_test and (layer is None or target in (None, "tests/fakes", "model/base")):
            continue  # what any test may use
        if target not in reachable(layer):
            problems.append(f"{where}: {layer} may not include {header} ({target})")
    return problems


def check(root):
    problems = []
    names = tree.project_files(root, CODE)
    for name in names:
        problems += check_file(root, name, tree.read(root, name))
    return problems, len(names)


if __name__ == "__main__":
    tree.main(check)
