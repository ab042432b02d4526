"""Front doors. Each validates what it is given and hands it to the journal; nothing else happens before the answer."""
