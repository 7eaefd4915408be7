"""All bugs, by network."""

from tests.wrong.bug import Bug
from tests.wrong.bugs.adam import ADAM_BUGS
from tests.wrong.bugs.convolution import CONV_NET_BUGS
from tests.wrong.bugs.gru import GRU_BUGS
from tests.wrong.bugs.lstm import LSTM_BUGS
from tests.wrong.bugs.mlp import MLP_BUGS
from tests.wrong.bugs.rnn import RNN_BUGS

BUGS: list[Bug] = [*RNN_BUGS, *LSTM_BUGS, *GRU_BUGS, *MLP_BUGS, *CONV_NET_BUGS, *ADAM_BUGS]
