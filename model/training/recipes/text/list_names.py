"""Prints the names that the free training data uses, one a line, sorted.

    list_names.py DATA > names.txt

DATA holds JSON in the form of COCO (`categories`), icon sets (`icons`, *.json.gz) and
lists of pictures with names (`name`, `keywords`); labels.txt lines of the form
"NUMBER NAME" or "NAME". Names are plain words, without suffixes and skin tones.
"""

import gzip
import json
import pathlib
import re
import sys

MAX_CHARACTERS = 40


def clean(name):
    text = re.sub("[-_ ]+", " ", name.lower())
    text = re.sub(r" (other|merged|stuff)$", "", text)
    return " ".join(text.split())


def names_of_json(value):
    if isinstance(value, dict):
        yield from (category["name"] for category in value.get("categories", []))
        yield from value.get("icons", {})
        for icon in value.get("icons", {}).values():
            yield from icon.get("aliases", [])
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield entry["name"]
                yield from entry.get("keywords", [])


def names_of_file(path):
    if path.name == "labels.txt":
        for line in path.read_text(encoding="utf-8").splitlines():
            match = re.fullmatch(r"(?:\d+ )?([A-Za-z-]+)(?: \(([A-Za-z]+)\))?", line.strip())
            if match:
                yield from filter(None, match.groups())
    elif path.name.endswith(".json.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from names_of_json(json.load(file))
    elif path.suffix == ".json":
        yield from names_of_json(json.loads(path.read_text(encoding="utf-8")))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    names = set()
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
        if path.is_file() and path.name.endswith((".json", ".json.gz", "labels.txt")):
            names.update(clean(name) for name in names_of_file(path))
    for name in sorted(names):
        plain = re.fullmatch(r"[a-z][a-z0-9 '.&]*", name) is not None
        if plain and "skin tone" not in name and len(name) <= MAX_CHARACTERS:
            print(name)


if __name__ == "__main__":
    main()
