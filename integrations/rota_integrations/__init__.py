"""Other systems' runs, seen by rota: one room a system, each an observer; none is here yet.

A room imports the public names of ``rota`` only, and brings its dependency by an extra of the same name.
"""
