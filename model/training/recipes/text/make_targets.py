"""Writes what `semsam-train text` learns from: names and their text embeddings.

    make_targets.py --wordnet /usr/share/wordnet --vocabulary bpe_simple_vocab_16e6.txt.gz \
        [--words NAMES.txt ...] --cache teacher.npz --out targets.safetensors

The names: the nouns of WordNet, the words of CLIP's vocabulary (so that each word
that is one token is met), word lists (one name a line: those of data sets), pairs of
adjective and noun, and plurals. A plural has the embedding of its singular: it names
the same kind of thing.

The embeddings: those of MiniLM without their mean, on their principal axes, scaled to
unit length. The mean goes because sentence embeddings share a direction, which makes
any two words look alike; the axes make the embedding narrower.

Held out are the nouns whose first sense is in every tenth synset, and whatever else
is spelt like them, but for words of the lists.

--cache keeps the teacher's own embeddings, so that a second run is quick.

The file: `texts` (UTF-8, a name a line), `targets` [N, D] float16, `held_out` [N],
and the map from the teacher: `mean` [384], `axes` [384, D].
"""

import argparse
import gzip
import pathlib
import random
import re
import sys
import time

import numpy as np
from safetensors.numpy import save_file

import wordnet
from minilm import WIDTH, MiniLm

HELD_OUT_EVERY = 10  # synsets
PLURAL_SHARE = 0.25  # of the nouns of WordNet; the lists have all of theirs
PHRASES = 30_000
TEACHER_PART = 4096  # texts between two reports


def clip_words(path):
    """The tokens of CLIP that are whole words, as text."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1 : 49152 - 256 - 2 + 1]
    words = ("".join(merge.split()) for merge in merges)
    return [word[:-4] for word in words if re.fullmatch("[a-z]{3,}</w>", word)]


def read_words(paths):
    words = []
    for path in paths:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            text = " ".join(line.lower().split())
            if text:
                words.append(text)
    return words


def phrases(adjectives, nouns, count, rng):
    """Pairs such as "red car" of nouns that are used and name something to be seen."""
    usual = [noun.text for noun in nouns if noun.physical and noun.uses > 0]
    return [f"{rng.choice(adjectives)} {rng.choice(usual)}" for _ in range(count)]


class Names:
    """Texts in the order in which they come, each once; what they are called by the teacher."""

    def __init__(self):
        self.texts = []
        self.asked = []  # what the teacher is asked in their place
        self.held_out = []
        self.seen = {}

    def add(self, text, held_out=False, asked=None):
        if text in self.seen or "\n" in text:
            return
        self.seen[text] = len(self.texts)
        self.texts.append(text)
        self.asked.append(asked or text)
        self.held_out.append(held_out)


def gather(options, rng):
    nouns = wordnet.read_nouns(options.wordnet)
    irregular = wordnet.read_irregular_plurals(options.wordnet)
    listed = read_words(options.words)
    known = set(listed)
    hidden = {
        noun.text
        for noun in nouns
        if noun.synset % HELD_OUT_EVERY == 0 and noun.text not in known
    }
    hidden_plurals = {wordnet.plural(text, irregular) for text in hidden} - known
    names = Names()

    def add_plural(text):
        several = wordnet.plural(text, irregular)
        if several is not None and several not in hidden:
            names.add(several, asked=text)

    for text in listed:
        names.add(text)
        add_plural(text)
    for noun in nouns:
        names.add(noun.text, held_out=noun.text in hidden)
    for noun in nouns:
        if noun.text not in hidden and rng.random() < PLURAL_SHARE:
            add_plural(noun.text)
    for word in clip_words(options.vocabulary):
        if word not in hidden_plurals:
            names.add(word)
    visible = [noun for noun in nouns if noun.text not in hidden]
    for text in phrases(wordnet.read_adjectives(options.wordnet), visible, PHRASES, rng):
        names.add(text)
    return names


def ask_teacher(texts, cache):
    """Unit rows [texts, WIDTH], from the cache where it has them."""
    known = {}
    if cache.is_file():
        stored = np.load(cache)
        known = dict(zip(stored["texts"].tolist(), stored["rows"]))
    missing = sorted(set(texts) - known.keys(), key=len)
    if missing:
        teacher = MiniLm()
        start = time.monotonic()
        for begin in range(0, len(missing), TEACHER_PART):
            part = missing[begin : begin + TEACHER_PART]
            known.update(zip(part, teacher.embed(part).astype(np.float16)))
            print(
                f"teacher: {begin + len(part)} of {len(missing)} texts, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
        np.savez(cache, texts=np.array(list(known)), rows=np.array(list(known.values())))
    return np.array([known[text] for text in texts], np.float32)


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def describe(label, rows, rng):
    """Cosines of random pairs: about 0 where directions are used evenly."""
    pairs = rng.integers(0, len(rows), (2, 100_000))
    cosines = (rows[pairs[0]] * rows[pairs[1]]).sum(1)
    print(
        f"{label}: cosine of random pairs {cosines.mean():.3f} +- {cosines.std():.3f}, "
        f"99th percentile {np.percentile(cosines, 99):.3f}"
    )


def make_axes(rows, dimensions):
    """(mean, axes [WIDTH, dimensions]) of the teacher's rows, most variance first."""
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh(np.cov((rows - mean).T))
    axes = vectors[:, ::-1][:, :dimensions]
    # The sign of an axis is arbitrary: fixed, so that every machine has the same.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dimensions)])
    kept = values[::-1][:dimensions].sum() / values.sum()
    print(f"{dimensions} of {WIDTH} axes keep {100 * kept:.1f} % of the variance")
    return mean, axes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wordnet", required=True, help="folder with index.noun and data.noun")
    parser.add_argument("--vocabulary", required=True, help="bpe_simple_vocab_16e6.txt.gz of CLIP")
    parser.add_argument("--words", action="append", default=[], help="more names, one a line")
    parser.add_argument("--cache", required=True, type=pathlib.Path, help=".npz of the teacher")
    parser.add_argument("--out", required=True)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not 1 <= options.dimensions <= WIDTH:
        sys.exit(f"--dimensions must be 1 to {WIDTH}")

    names = gather(options, random.Random(options.seed))
    print(f"{len(names.texts)} names, {sum(names.held_out)} of them held out")
    rows = ask_teacher(names.asked, options.cache)
    held_out = np.array(names.held_out)
    mean, axes = make_axes(rows[~held_out], options.dimensions)
    targets = unit((rows - mean) @ axes)
    describe("teacher", rows, np.random.default_rng(options.seed))
    describe("targets", targets, np.random.default_rng(options.seed))
    save_file(
        {
            "texts": np.frombuffer(("\n".join(names.texts) + "\n").encode(), np.uint8),
            "targets": targets.astype(np.float16),
            "held_out": held_out.astype(np.uint8),
            "mean": mean.astype(np.float32),
            "axes": np.ascontiguousarray(axes, np.float32),
        },
        options.out,
        metadata={
            "format": "semsam-text-targets-1",
            "source": "all-MiniLM-L6-v2 (Apache-2.0) on names from WordNet 3.0 (WordNet licence) "
            "and the vocabulary of CLIP (MIT)",
        },
    )
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
