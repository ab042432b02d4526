"""The process on a job's host that ships what the spool holds and sees how processes end.

``door`` (the socket where scripts say hello) and ``witness`` (how a process ended) feed ``ends`` (what that says of its
runs); ``sample`` (what they use, from ``processes``) and ``heartbeat`` feed ``samples``; ``spool`` reads and claims files;
``carrier`` brings them to the collector through ``ship``; ``loop`` and ``once`` are the two ways to run all this, ``porter``
runs one for each user. The standard library is enough, but for destinations that are not rota (``official``).
"""
