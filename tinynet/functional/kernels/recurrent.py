"""A recurrent layer over a whole sequence: what can be one product for all time steps is one product."""

from __future__ import annotations

from tinynet.backend import namespace


def rnn_forward(x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, *_):
    xp = namespace(x)
    z = _project(x, weight_ih, bias_ih, bias_hh)
    states = _states(xp, h, z)
    from_h = xp.empty_like(states[0])
    for z_t, before, after in zip(z, states[:-1], states[1:], strict=True):
        xp.matmul(before, weight_hh.T, out=from_h)
        z_t += from_h
        if nonlinearity == "tanh":
            xp.tanh(z_t, out=after)
        else:
            xp.maximum(z_t, 0, out=after)
    return states[1:], states


def rnn_backward(g, states, x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, *_):
    xp = namespace(g)
    after = states[1:]
    slope = 1 - after * after if nonlinearity == "tanh" else (after > 0).astype(g.dtype)
    dz, dh = xp.empty_like(slope), xp.zeros_like(states[0])
    for g_t, slope_t, dz_t in zip(g[::-1], slope[::-1], dz[::-1], strict=True):
        dh += g_t
        xp.multiply(dh, slope_t, out=dz_t)
        xp.matmul(dz_t, weight_hh, out=dh)
    dx, *d_parameters = _parameter_gradients(dz, x, states[:-1], weight_ih, bias_ih, bias_hh)
    return dx, dh, *d_parameters


def lstm_forward(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    """All h, then the last c: (T + 1, N, H)."""
    xp = namespace(x)
    size = h.shape[-1]
    z = _project(x, weight_ih, bias_ih, bias_hh)
    # σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all four gates: i, f, g, o.
    scale = xp.full(4 * size, 0.5, dtype=z.dtype)
    scale[2 * size : 3 * size] = 1
    shift = 1 - scale
    z *= scale
    recurrent = weight_hh.T * scale
    states, cells, tanh_c = _states(xp, h, z), _states(xp, c, z), xp.empty_like(z[..., :size])
    from_h, new = xp.empty_like(z[0]), xp.empty_like(states[0])
    gates = (z[..., k * size : (k + 1) * size] for k in range(4))
    steps = zip(z, *gates, states, states[1:], cells, cells[1:], tanh_c, strict=False)
    for z_t, i, f, candidate, o, before, after, c_before, c_after, tanh_c_t in steps:
        xp.matmul(before, recurrent, out=from_h)
        z_t += from_h
        xp.tanh(z_t, out=z_t)
        z_t *= scale
        z_t += shift
        xp.multiply(f, c_before, out=c_after)
        xp.multiply(i, candidate, out=new)
        c_after += new
        xp.tanh(c_after, out=tanh_c_t)
        xp.multiply(o, tanh_c_t, out=after)
    return xp.concatenate((states[1:], cells[-1:])), (z, states, cells, tanh_c)


def lstm_backward(g, saved, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    xp = namespace(g)
    z, states, cells, tanh_c = saved
    steps, batch, size = tanh_c.shape
    # dz = (what arrives at c, thrice, and at h) times factors that are known for all steps at once.
    gates = z.reshape(steps, batch, 4, size)
    i, f, candidate, o = (gates[:, :, k] for k in range(4))
    factor = gates * (1 - gates)
    factor[:, :, 2] = 1 - candidate * candidate
    for k, other in enumerate((candidate, cells[:-1], i, tanh_c)):
        factor[:, :, k] *= other
    c_from_h = o * (1 - tanh_c * tanh_c)
    dz, dh, dc = xp.empty_like(factor), xp.zeros_like(states[0]), g[-1].copy()
    share = xp.empty_like(dc)
    for t in range(steps - 1, -1, -1):
        dh += g[t]
        xp.multiply(dh, c_from_h[t], out=share)
        dc += share
        xp.multiply(dc[:, None], factor[t, :, :3], out=dz[t, :, :3])
        xp.multiply(dh, factor[t, :, 3], out=dz[t, :, 3])
        dc *= f[t]
        xp.matmul(dz[t].reshape(batch, 4 * size), weight_hh, out=dh)
    dz = dz.reshape(steps, batch, 4 * size)
    dx, *d_parameters = _parameter_gradients(dz, x, states[:-1], weight_ih, bias_ih, bias_hh)
    return dx, dh, dc, *d_parameters


def _project(x, weight_ih, bias_ih, bias_hh):
    """W_ih x[t] + b_ih + b_hh of all time steps in one product."""
    z = x.reshape(-1, x.shape[-1]) @ weight_ih.T
    if bias_ih is not None and bias_hh is not None:
        z += bias_ih + bias_hh
    return z.reshape(*x.shape[:-1], -1)


def _states(xp, initial, z):
    """Room for the initial state and the state after each time step."""
    states = xp.empty((z.shape[0] + 1, *initial.shape), dtype=z.dtype)
    states[0] = initial
    return states


def _parameter_gradients(dz, x, before, weight_ih, bias_ih, bias_hh):
    """From dz of all time steps at once: the gradients of x, the weights and the biases."""
    rows = dz.reshape(-1, dz.shape[-1])

    def dx():
        return (rows @ weight_ih).reshape(x.shape)

    d_weight_ih = rows.T @ x.reshape(-1, x.shape[-1])
    d_weight_hh = rows.T @ before.reshape(-1, before.shape[-1])
    if bias_ih is None or bias_hh is None:
        return dx, d_weight_ih, d_weight_hh, None, None
    d_bias = rows.sum(0)
    return dx, d_weight_ih, d_weight_hh, d_bias, d_bias.copy()
