"""What people call the quantities of a net: usual keys, and keys that mean other things more often.

Keys have no case, dots or underscores; plurals and hs, h_t, h_prev … need no entry: ``readings`` takes them off.
"""

from __future__ import annotations

NET: dict[str, tuple[str, str]] = {  # of a whole net
    "x": ("x input inp data image img pixels aprev", "a0"),
    "target": ("target label labels ytrue tgt gold", "y t"),
    "loss": ("loss l cost j totalloss", ""),
    "loss.p": ("p probs prob probabilities probability yhat aout softmax phat", "ypred pred prediction y o out output"),
    "loss.nll": ("nll losses ce crossentropy", ""),
    "output.z": ("logits logit scores score yout zout", "y o z out output ypred pred prediction"),
    "output.weight": (
        "why wya wout wy who whq v woutput outputweight outweight headweight fcweight linearweight",
        "wo",
    ),
    "output.bias": ("by bout boutput outputbias outbias headbias fcbias linearbias bq", "bo"),
}
STACKED: dict[str, tuple[str, str]] = {  # the parameters of a recurrent layer
    "weight_ih": ("wih wxh wx wax wi2h win winput wi kernel weightih inputkernel", "u w weight"),
    "weight_hh": ("whh wh waa wh2h wrec recurrentkernel weighthh r", "u w"),
    "bias_ih": ("bih bxh bx ba bi bi2h biasih", "b bias bh"),
    "bias_hh": ("bhh bh2h biashh brec", "bh"),
    "weight_hr": ("whr wr wproj wp", ""),
    **{f"weight_c{gate}": (f"wc{gate} p{gate} wpeep{gate} v{gate}", "") for gate in "ifo"},
}
CELLS: dict[str, dict[str, tuple[str, str]]] = {  # the quantities of a step
    "rnn": {
        "z": ("z net pre preact preactivation apre hpre zpre", "a"),
        "h": ("h hidden hiddenstate", "a output out"),
    },
    "lstm": {
        "i": ("i inputgate ingate igate gatei gi gu", ""),
        "f": ("f forget forgetgate fgate gatef gf", ""),
        "g": ("g candidate cand ctilde ctilda cbar chat cct cellgate ggate gateg gg cc", ""),
        "o": ("o outputgate outgate ogate gateo go", ""),
        "c": ("c cell cellstate memory", ""),
        "tanh_c": ("tanhc ctanh cact", ""),
        "h": ("h hidden hiddenstate a hout", "output out"),
    },
    "gru": {
        "r": ("r reset resetgate rgate gater", ""),
        "z": ("z update updategate zgate gatez u", ""),
        "u_n": ("un hn", ""),
        "r_h": ("rh resethidden", ""),
        "n": ("n candidate cand htilde htilda hbar hhat hcand newgate ngate gaten g", ""),
        "h": ("h hidden hiddenstate", "output out"),
    },
}
GATES: dict[str, dict[str, str]] = {  # the gates of a layer, in the order of their rows, and the letters they go by
    "lstm": {"i": "i u", "f": "f", "g": "g c", "o": "o"},
    "coupled": {"i": "i", "g": "g c", "o": "o"},
    "gru": {"r": "r", "z": "z u", "n": "n h c g"},
}
GATE_PARTS = {  # of a gate's letter: its rows of a parameter, and its pre-activation
    "weight_ih": "wi{} wx{} w{} w{}x weighti{}",
    "weight_hh": "wh{} u{} w{}h r{} weighth{}",
    "bias_ih": "b{} bi{} bx{} b{}x bias{}",
    "bias_hh": "bh{} bu{} b{}h",
    "z": "z{} a{} net{} pre{} {}pre {}raw {}net {}linear {}logit {}preact {}preactivation s{}",
}
SYMBOLS = {"weight_ih": "W_i", "weight_hh": "W_h", "bias_ih": "b_i", "bias_hh": "b_h"}  # how our run calls these rows
TOGETHER = {
    "gates": ("gates ifgo gate rzn ifogf", ""),
    "z": ("preactivations pregates gatespre zgates ifog", "z a gates net"),
}
LAYERS: dict[str, tuple[str, str]] = {  # of the layer with number, or with name, {0}
    "weight": (
        "w{0} {0}w weight{0} weights{0} {0}weights fc{0}weight linear{0}weight layer{0}weight dense{0}weight",
        "conv{0}weight",
    ),
    "bias": ("b{0} {0}b bias{0} biases{0} {0}biases fc{0}bias linear{0}bias layer{0}bias dense{0}bias conv{0}bias", ""),
    "z": ("z{0} pre{0} {0}pre {0}out net{0} s{0}", "a{0}"),
    "act": ("a{0} {0}a h{0} act{0} {0}act relu{0} tanh{0} out{0}", ""),
    "pool": ("m{0} p{0} pool{0} pooled{0} {0}pool", ""),
}
ONLY: dict[str, tuple[str, str]] = {  # of the only hidden layer of its kind
    "weight": ("w wconv convweight kernel kernels filter filters hiddenweight wh wxh wx", "k weight"),
    "bias": ("b bconv convbias hiddenbias bh bxh bx", "bias"),
    "z": ("z zconv pre net preactivation conv convout", ""),
    "act": ("a h hidden act aconv activation relu reluout", ""),
    "pool": ("m pool pooled maxpool p poolout", ""),
    "flat": ("flat flattened features", ""),
}
MOMENTS = {  # what an optimiser keeps for a parameter, and what it goes by, alone or beside the parameter's name
    "g": "g grad gradient decayedgrad gdecayed gwd",
    "m": "m expavg firstmoment moment1 mom1 m1",
    "v": "v expavgsq secondmoment moment2 mom2 v2 squareavg s sq cache meansquare",
    "m_hat": "mhat mcorrected mcorr mc expavghat mbiascorrected mcap",
    "v_hat": "vhat vcorrected vcorr vc expavgsqhat vbiascorrected vcap",
    "velocity": "velocity vel v momentumbuffer momentum buf",
}
PARAMETER = "w theta weight weights param parameter"  # the only one
ACTIVATIONS = ("tanh", "sigmoid", "relu", "leaky_relu", "elu", "gelu", "softplus")
POOLED = ("pooled", "averaged")
