"""Mistakes that are made by hand in code of one's own: each is given its reason, in programs that are right without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinynet.debug import Report
from tinynet.debug.own_code import compare_script

DROPOUT = """
import numpy as np
rng = np.random.default_rng(5)
X, y = rng.normal(size=(6, 4)), np.array([0, 2, 1, 1, 0, 2])
W1, b1, W2, b2 = (rng.normal(size=size) for size in ((4, 5), 5, (5, 3), 3))
keep = 0.8
mask = rng.random((6, 5)) < keep

def step(X, y):
    h = np.tanh(X @ W1 + b1)
    hd = h * mask / keep
    s = hd @ W2 + b2
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(6), y]).mean()
    ds = p.copy()
    ds[np.arange(6), y] -= 1
    ds /= 6
    dW2, db2 = hd.T @ ds, ds.sum(axis=0)
    dhd = ds @ W2.T
    dh = dhd * mask / keep
    dz = dh * (1 - h ** 2)
    dW1, db1 = X.T @ dz, dz.sum(axis=0)
    return loss, dW1, db1, dW2, db2
"""

ATTENTION = """
import numpy as np
rng = np.random.default_rng(5)
H, y = rng.normal(size=(5, 4)), np.array([0.5, -1.0])
u, W = rng.normal(size=4), rng.normal(size=(4, 2))

def step(H, y):
    s = H @ u
    e = np.exp(s - s.max())
    a = e / e.sum()
    c = a @ H
    out = c @ W
    loss = 0.5 * np.sum((out - y) ** 2)
    dout = out - y
    dW = np.outer(c, dout)
    dc = W @ dout
    da = H @ dc
    ds = a * (da - a @ da)
    du = H.T @ ds
    return loss, dW, du
"""

LSTM = """
import numpy as np
rng = np.random.default_rng(2)
T, N, D, H = 5, 2, 3, 4
x, h0, y = rng.normal(size=(T, N, D)), rng.normal(size=(N, H)), rng.normal(size=(T, N, H))
Wx, Wh, b = rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def step(x, h0, y):
    h, c, cache, loss = h0, np.zeros((N, H)), [], 0.0
    for t in range(T):
        a = x[t] @ Wx + h @ Wh + b
        i, f, o = (sigmoid(a[:, k * H:(k + 1) * H]) for k in range(3))
        g = np.tanh(a[:, 3 * H:])
        c_next = f * c + i * g
        tc = np.tanh(c_next)
        h_prev, h = h, o * tc
        loss = loss + 0.5 * np.sum((h - y[t]) ** 2)
        cache.append((h_prev, c, i, f, o, g, tc, h))
        c = c_next
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh_next, dc_next = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        h_prev, c_prev, i, f, o, g, tc, h = cache[t]
        dh = h - y[t] + dh_next
        do = dh * tc
        dc = dc_next + dh * o * (1 - tc ** 2)
        df, di, dg = dc * c_prev, dc * g, dc * i
        da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)))
        dWx += x[t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh_next, dc_next = da @ Wh.T, dc * f
    return loss, dWx, dWh, db
"""

TRUNCATED = """
import numpy as np
rng = np.random.default_rng(10)
words, following = [0, 3, 5, 3, 2, 3], [3, 5, 3, 2, 3, 1]
E, W, V = rng.normal(size=(7, 5)), rng.normal(size=(5, 5)), rng.normal(size=(7, 5))
back = 100

def step(words, following):
    T, h, loss = len(words), {-1: np.zeros(5)}, 0.0
    p = {}
    for t in range(T):
        h[t] = np.tanh(E[words[t]] + W @ h[t - 1])
        s = V @ h[t]
        p[t] = np.exp(s) / np.exp(s).sum()
        loss = loss - np.log(p[t][following[t]])
    dE, dW, dV = np.zeros_like(E), np.zeros_like(W), np.zeros_like(V)
    for t in reversed(range(T)):
        ds = p[t].copy()
        ds[following[t]] -= 1
        dV += np.outer(ds, h[t])
        delta = (V.T @ ds) * (1 - h[t] ** 2)
        for k in range(t, max(-1, t - back - 1), -1):
            dW += np.outer(delta, h[k - 1])
            dE[words[k]] += delta
            delta = (W.T @ delta) * (1 - h[k - 1] ** 2)
    return loss, dE, dW, dV
"""

GRU = """
import numpy as np
rng = np.random.default_rng(4)
T, H, D = 4, 3, 2
x, h0, y = rng.normal(size=(T, D)), rng.normal(size=H), rng.normal(size=(T, H))
Wz, Wr, Wn = (rng.normal(size=(D, H)) for _ in range(3))
Uz, Ur, Un = (rng.normal(size=(H, H)) for _ in range(3))

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def step(x, h0, y):
    h, z, r, n, loss = {-1: h0}, {}, {}, {}, 0.0
    for t in range(T):
        z[t] = sigmoid(x[t] @ Wz + h[t - 1] @ Uz)
        r[t] = sigmoid(x[t] @ Wr + h[t - 1] @ Ur)
        n[t] = np.tanh(x[t] @ Wn + (r[t] * h[t - 1]) @ Un)
        h[t] = z[t] * h[t - 1] + (1 - z[t]) * n[t]
        loss = loss + 0.5 * np.sum((h[t] - y[t]) ** 2)
    dWz, dWr, dWn = (np.zeros_like(W) for W in (Wz, Wr, Wn))
    dUz, dUr, dUn = (np.zeros_like(U) for U in (Uz, Ur, Un))
    dh_next = np.zeros(H)
    for t in reversed(range(T)):
        dh = h[t] - y[t] + dh_next
        dz, dn = dh * (h[t - 1] - n[t]), dh * (1 - z[t])
        da_n = dn * (1 - n[t] ** 2)
        drh = Un @ da_n
        dr = drh * h[t - 1]
        da_z, da_r = dz * z[t] * (1 - z[t]), dr * r[t] * (1 - r[t])
        dWz += np.outer(x[t], da_z); dWr += np.outer(x[t], da_r); dWn += np.outer(x[t], da_n)
        dUz += np.outer(h[t - 1], da_z); dUr += np.outer(h[t - 1], da_r); dUn += np.outer(r[t] * h[t - 1], da_n)
        dh_next = dh * z[t] + drh * r[t] + Uz @ da_z + Ur @ da_r
    return loss, dWz, dWr, dWn, dUz, dUr, dUn
"""

RIGHT = {"dropout": DROPOUT, "attention": ATTENTION, "lstm": LSTM, "truncated": TRUNCATED, "gru": GRU}
OVER = "dE: each share is put over those before it: `=` instead of `+=`"

# What is written, what is written by mistake, and the reason that is given.
WRONG = {
    "softmax-not-divided": (DROPOUT, "ds = p.copy()", "ds = e.copy()", "de: the division is left out"),
    "mask-not-applied": (DROPOUT, "dhd * mask / keep", "dhd / keep", "dh: the mask is left out as a factor"),
    "mask-negated": (DROPOUT, "dhd * mask", "dhd * (1 - mask)", "dh: the mask is the wrong way round"),
    "mask-without-scale": (DROPOUT, "dhd * mask / keep", "dhd * mask", "dh is dhd times the mask"),
    "no-derivative": (DROPOUT, "dz = dh * (1 - h ** 2)", "dz = dh", "the derivative of h is left out"),
    "softmax-without-its-sum": (ATTENTION, "a * (da - a @ da)", "a * da", "ds is da times a"),
    "softmax-diagonal": (ATTENTION, "a * (da - a @ da)", "a * (1 - a) * da", "ds is da times a·(1 − a)"),
    "gates-in-another-order": (
        LSTM,
        "(di * i * (1 - i), df * f * (1 - f), do * o * (1 - o),",
        "(df * f * (1 - f), do * o * (1 - o), di * i * (1 - i),",
        "the parts of da are in the order f, o, i, g instead of i, f, o, g",
    ),
    "factor-missing": (LSTM, "dh * o * (1 - tc", "dh * (1 - tc", "the factor o is left out"),
    "one-share": (LSTM, "db += da", "db = da", "db: only the share of t = 0 is kept: `=` instead of `+=`"),
    "one-share-of-all": (LSTM, " += ", " = ", "only the share of t = 0 is kept: `=` instead of `+=`"),
    "truncated": (TRUNCATED, "back = 100", "back = 2", "a gradient goes back 2 steps only (truncated BPTT)"),
    "reset-missing": (GRU, "np.outer(r[t] * h[t - 1]", "np.outer(h[t - 1]", "dUn: the factor r is left out"),
    "reset-missing-in-dh": (GRU, "drh * r[t]", "drh", "dh from step t+1: the factor r is left out"),
}


def compared(program: str, folder: Path) -> Report:
    (folder / "mine.py").write_text(program)
    return compare_script(f"{folder / 'mine.py'}:step", {}, None, {})


@pytest.mark.parametrize("program", RIGHT)
def test_what_is_right_is_not_called_wrong(program: str, tmp_path: Path) -> None:
    report = compared(RIGHT[program], tmp_path)
    assert report.ok, report


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_given_its_reason(mistake: str, tmp_path: Path) -> None:
    program, right, wrong, reason = WRONG[mistake]
    assert right in program
    report = compared(program.replace(right, wrong), tmp_path)
    assert report.first is not None and report.diagnosis is not None
    (explanation,) = report.diagnosis.explanations
    assert len(explanation.sentences) == 1 and reason in explanation.sentences[0]


def test_a_row_that_is_written_twice_is_overwritten(tmp_path: Path) -> None:
    program = TRUNCATED.replace("back = 100", "back = 0").replace(
        "h[t] = np.tanh(E[words[t]] + W @ h[t - 1])", "h[t] = np.tanh(E[words[t]])"
    )
    report = compared(program.replace("dE[words[k]] += delta", "dE[words[k]] = delta"), tmp_path)
    assert report.diagnosis is not None and report.diagnosis.explanations[0].sentences == (OVER,)
