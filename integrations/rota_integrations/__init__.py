"""Other systems' runs, seen by rota: one room a system, each an observer; from inside its processes, or looking on from outside.

A room imports the public names of ``rota`` only, and brings its dependency by an extra of the same name.
"""
