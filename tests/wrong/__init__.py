"""Networks written as plain loops, right and wrong: to see whether a tool finds the bug that somebody made.

    numbers = lstm(**data("lstm"))                  # a dict of arrays: z_i, i, c, h, p, loss, dh, dW_ih, new_W_ih …
    for network, bug, arguments in cases():         # each bug on data that shows it
        wrong = NETWORKS[network](**arguments, bug=bug)
    for network, variant, arguments in variants():  # rounding, other order, other formula: nothing of this is a bug
        right = NETWORKS[network](**arguments, bug=variant, dtype=variant.dtype)

Nothing here comes from tinynet, so that the one can judge the other. Weights have PyTorch's names and layout.
"""

from tests.wrong.adam import adam
from tests.wrong.bug import Bug, Row
from tests.wrong.bugs import BUGS
from tests.wrong.cases import NETWORKS, VARIANTS, Variant, cases, first_difference, variants
from tests.wrong.convolution import conv_net
from tests.wrong.data import data
from tests.wrong.mlp import mlp
from tests.wrong.network import Numbers
from tests.wrong.recurrent import gru, lstm, rnn

__all__ = [
    "BUGS",
    "NETWORKS",
    "VARIANTS",
    "Bug",
    "Numbers",
    "Row",
    "Variant",
    "adam",
    "cases",
    "conv_net",
    "data",
    "first_difference",
    "gru",
    "lstm",
    "mlp",
    "rnn",
    "variants",
]
