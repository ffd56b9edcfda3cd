"""Nouns and adjectives of WordNet 3.0, as Debian's wordnet-base lays them out.

The format is that of wndb(5WN): index.POS says for every lemma its synsets, most
frequent sense first; data.POS holds the synsets.
"""

import dataclasses
import re

INSTANCE = "@i"  # pointer of Paris to city: a name of one thing, no name of a kind
# Lexicographer files (lexnames(5WN)) of what can stand in a picture.
PHYSICAL = {5, 6, 8, 13, 17, 18, 20}  # animal, artifact, body, food, object, person, plant


@dataclasses.dataclass
class Noun:
    text: str
    synset: int  # number of its most frequent sense, in the order of the file
    physical: bool
    uses: int  # in texts that were tagged by sense: 0 for the rare ones


def lines(path):
    with open(path, encoding="ascii") as file:
        # The licence comes first, indented.
        return [line for line in file if not line.startswith(" ")]


def text_of(lemma):
    return lemma.replace("_", " ").lower()


def read_index(path):
    """(lemma, offsets of its synsets, tagged senses) of every line."""
    for line in lines(path):
        fields = line.split()
        pointers = int(fields[3])
        tagged = int(fields[5 + pointers])
        yield fields[0], fields[6 + pointers :], tagged


def read_nouns(folder):
    """Nouns that name a kind of thing, in the order of index.noun."""
    synsets = {}
    for line in lines(f"{folder}/data.noun"):
        fields = line.split(" | ")[0].split()
        synsets[fields[0]] = (len(synsets), int(fields[1]), INSTANCE in fields)
    nouns = []
    for lemma, offsets, tagged in read_index(f"{folder}/index.noun"):
        number, lexname, instance = synsets[offsets[0]]
        text = text_of(lemma)
        if not instance and re.search("[a-z]", text):
            nouns.append(Noun(text, number, lexname in PHYSICAL, tagged))
    return nouns


def read_adjectives(folder):
    """Plain adjectives that occur in tagged texts."""
    return [
        lemma
        for lemma, _, tagged in read_index(f"{folder}/index.adj")
        if tagged > 0 and re.fullmatch("[a-z]{3,12}", lemma)
    ]


def read_irregular_plurals(folder):
    """singular -> plural of noun.exc."""
    plurals = {}
    for line in lines(f"{folder}/noun.exc"):
        plural, singular = line.split()[:2]
        plurals.setdefault(text_of(singular), text_of(plural))
    return plurals


def plural(text, irregular):
    """Of the last word, or None where the rules for English nouns do not reach."""
    if text in irregular:
        return irregular[text]
    head, _, last = text.rpartition(" ")
    if not re.fullmatch("[a-z]{3,}", last):
        return None
    if last in irregular:
        last = irregular[last]
    elif re.search("(s|x|z|ch|sh)$", last):
        last += "es"
    elif re.search("[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}" if head else last
