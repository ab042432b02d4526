"""``rota exec``: a command is an observed run, and notices nothing of it.

``options`` reads the command line, ``naming`` finds the workflow's name in a command, ``child`` starts and awaits it,
``tail`` keeps the end of its output, and ``observe`` puts these together. ``part`` is the other side: a script under
``rota exec`` that has rota too.
"""
