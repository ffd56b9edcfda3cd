#!/usr/bin/env python3
"""Writes html_entities.txt: make_html_entities.py > html_entities.txt

The names are those of the HTML standard that end in ";" (html.entities of
Python). To them come, as ftfy 6.1.1 has it, the all-capitals forms of names in
small letters where no entity of the standard begins such a form: &NTILDE; of a
text that someone has put into capitals.
"""

import html
from html.entities import html5

HEAD = """\
# Named character references of the HTML standard, and all-capitals forms of them.
# Made by make_html_entities.py. One a line: name, then its code points in hex.
"""


def entities():
    names = {}
    for name, text in html5.items():
        if not name.endswith(";"):
            continue
        names[name[:-1]] = text
        capitals = name.upper()
        if name == name.lower() and html.unescape("&" + capitals) == "&" + capitals:
            names[capitals[:-1]] = text.upper()
    return names


def table():
    lines = [f"{name} {' '.join(f'{ord(c):X}' for c in text)}"
             for name, text in sorted(entities().items())]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
