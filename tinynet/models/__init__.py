"""The networks that ``tinynet export`` makes: small, on real data, each recorded for one or more updates.

All take ``lr``, ``seed`` and ``updates`` (rounds of forward, backward and update to record) and ``optimizer``.
"""

from tinynet.models.convolutional import cnn
from tinynet.models.mlp import mlp
from tinynet.models.recurrent import gru, lstm, recurrent, rnn

__all__ = ["cnn", "gru", "lstm", "mlp", "recurrent", "rnn"]
