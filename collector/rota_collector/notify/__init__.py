"""How a message leaves: in a process of its own, whose sockets, files and programs a guard watches."""
