"""A character-level RNN on a real text: trained here, then one window of it as a workbook.

The text is the first stanzas of Lewis Carroll's Jabberwocky (1871, public domain).
Run it: python examples/characters.py    (or: tinynet export examples/characters.py:window)
"""

import numpy as np

import tinynet as tn
from tinynet import nn

TEXT = """twas brillig and the slithy toves did gyre and gimble in the wabe
all mimsy were the borogoves and the mome raths outgrabe
beware the jabberwock my son the jaws that bite the claws that catch
beware the jubjub bird and shun the frumious bandersnatch
"""
LETTERS = sorted(set(TEXT))


class Speller(nn.Module):
    """Reads letters (T, N) and gives a score to every letter that may come next (T, N, letters)."""

    def __init__(self, hidden: int):
        self.embedding = nn.Embedding(len(LETTERS), 4)
        self.rnn = nn.RNN(4, hidden)
        self.output = nn.Linear(hidden, len(LETTERS))

    def forward(self, letters: tn.Tensor, state: tn.Tensor | None = None) -> tuple[tn.Tensor, tn.Tensor]:
        hidden, last = self.rnn(self.embedding(letters), state)
        return self.output(hidden), last


def trained(hidden: int = 32, rounds: int = 400) -> Speller:
    """Train on windows of 25 letters with SGD, printing the loss in nats per letter."""
    tn.manual_seed(0)
    speller = Speller(hidden)
    optimizer = tn.optim.SGD(speller.parameters(), lr=1.0)
    codes = np.array([LETTERS.index(letter) for letter in TEXT])
    starts = np.random.default_rng(0)
    for done in range(rounds + 1):
        places = starts.integers(0, len(codes) - 26, 16) + np.arange(26)[:, None]
        optimizer.zero_grad()
        scores, _ = speller(tn.tensor(codes[places[:-1]]))
        loss = tn.functional.cross_entropy(scores, codes[places[1:]])
        loss.backward()
        optimizer.step()
        if done % 100 == 0:
            print(f"round {done}: {loss.item():.3f} nats a letter (guessing: {np.log(len(LETTERS)):.3f})")
    return speller


def spell(speller: Speller, start: str, count: int = 60) -> str:
    """Continue ``start`` with the likeliest letters."""
    codes, state, out = [LETTERS.index(letter) for letter in start], None, start
    with tn.no_grad():
        for _ in range(count):
            scores, state = speller(tn.tensor(np.array(codes)[:, None]), state)
            codes = [int(scores.numpy()[-1, 0].argmax())]
            out += LETTERS[codes[0]]
    return out


def window(letters: str = "the ja", hidden: int = 6) -> tn.Run:
    """Train a small net and record one step on a window: what it expects after each letter, and why."""
    speller = trained(hidden)
    codes = np.array([LETTERS.index(letter) for letter in letters])
    optimizer = tn.optim.SGD(speller.parameters(), lr=1.0)
    optimizer.zero_grad()
    with tn.record() as run:
        scores, _ = speller(tn.tensor(codes[:-1, None], name="letter"))
        tn.functional.cross_entropy(scores, codes[1:, None]).backward()
        optimizer.step()
    numbers = ", ".join(f"{i} {letter!r}" for i, letter in enumerate(LETTERS) if letter in letters)
    run.description = f"reads {letters[:-1]!r} and learns what follows each letter · {numbers}"
    return run


if __name__ == "__main__":
    print(spell(trained(), "beware the j").strip())
    print(window().to_excel("characters.xlsx", title="Character RNN"))
