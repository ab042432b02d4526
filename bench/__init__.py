"""How much rota costs, beside its peers, on this machine: ``make bench``, or ``make bench ARGS="--quick startup"``.

Every figure is a ratio to, or a difference from, something measured in turn with it in the same run: the bare interpreter,
a peer in an environment of its own, or a server that does nothing. Results go to ``bench/results/``.
"""
