"""Somebody's own LSTM in NumPy. It trains, but not well: one line of its backward pass is wrong. Which one, and why?

    python examples/wrong_lstm.py
    tinynet export --from-torch weights.npz --input x.npy --target y.npy -o lstm.xlsx
    tinynet compare mine.npz lstm.xlsx

The first command runs the LSTM once and saves what it computed in mine.npz, a name for each array; the second makes our
workbook of the same net from its weights; the third names the first number that is wrong, the cell where the right one
stands, and the bug. Correct the line below that it is about (or say ``fixed``), and all agree:

    python examples/wrong_lstm.py fixed
    tinynet compare mine.npz lstm.xlsx
"""

import sys

import numpy as np

T, N, I, H, C = 5, 2, 3, 4, 3  # steps, sequences, inputs, units, classes: all different, or mistakes hide


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, y, Wx, Wh, b, Wy, by, h, c):
    """All quantities by name, each a list of time steps; the gates are stacked as i, f, g, o."""
    s = {name: [] for name in ("h_prev", "c_prev", "i", "f", "g", "o", "c", "h", "p")}
    loss = 0.0
    for t in range(T):
        s["h_prev"].append(h)
        s["c_prev"].append(c)
        i, f, g, o = np.split(x[t] @ Wx.T + h @ Wh.T + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        p = np.exp(h @ Wy.T + by)
        p /= p.sum(axis=1, keepdims=True)
        loss -= np.log(p[np.arange(N), y[t]]).sum() / (T * N)
        for name, array in dict(i=i, f=f, g=g, o=o, c=c, h=h, p=p).items():
            s[name].append(array)
    return s, loss


def backward(x, y, s, Wx, Wh, Wy, fixed):
    """Gradients by name."""
    d = {name: [None] * T for name in ("dh", "dc", "dz_i", "dz_f", "dz_g", "dz_o", "dlogits")}
    dWx, dWh, db, dWy, dby = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H), np.zeros_like(Wy), np.zeros(C)
    dh_next = dc_next = np.zeros((N, H))
    for t in reversed(range(T)):
        i, f, g, o, c = (s[name][t] for name in "ifgoc")
        dy = (s["p"][t] - np.eye(C)[y[t]]) / (T * N)
        dWy += dy.T @ s["h"][t]
        dby += dy.sum(axis=0)
        dh = dy @ Wy + dh_next
        slope = 1 - np.tanh(c) ** 2 if fixed else 1 - c**2
        dc = dc_next + dh * o * slope
        dz_i = dc * g * i * (1 - i)
        dz_f = dc * s["c_prev"][t] * f * (1 - f)
        dz_g = dc * i * (1 - g**2)
        dz_o = dh * np.tanh(c) * o * (1 - o)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
        dWx += dz.T @ x[t]
        dWh += dz.T @ s["h_prev"][t]
        db += dz.sum(axis=0)
        dh_next, dc_next = dz @ Wh, dc * f
        for name, array in dict(dh=dh, dc=dc, dz_i=dz_i, dz_f=dz_f, dz_g=dz_g, dz_o=dz_o, dlogits=dy).items():
            d[name][t] = array
    return d | dict(dWx=dWx, dWh=dWh, db=db, dWy=dWy, dby=dby)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(T, N, I)), rng.integers(C, size=(T, N))
    Wx, Wh, b = rng.normal(size=(4 * H, I)), rng.normal(size=(4 * H, H)), rng.normal(size=4 * H)
    Wy, by = rng.normal(size=(C, H)), rng.normal(size=C)

    s, loss = forward(x, y, Wx, Wh, b, Wy, by, h=np.zeros((N, H)), c=np.zeros((N, H)))
    gradients = backward(x, y, s, Wx, Wh, Wy, fixed="fixed" in sys.argv)
    quantities = {name: s[name] for name in "ifgochp"}
    np.savez("mine.npz", loss=loss, **quantities, **gradients)

    np.savez(  # the weights, by PyTorch's names: it has two biases, the second of which is 0 here
        "weights.npz",
        **{"lstm.weight_ih_l0": Wx, "lstm.weight_hh_l0": Wh, "lstm.bias_ih_l0": b, "lstm.bias_hh_l0": np.zeros(4 * H)},
        **{"head.weight": Wy, "head.bias": by},
    )
    np.save("x.npy", x)
    np.save("y.npy", y)
    print(f"loss {loss:.6f}: saved mine.npz, weights.npz, x.npy and y.npy")
