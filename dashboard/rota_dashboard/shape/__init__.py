"""API items -> what a page shows. Pure: no server, no browser, no clock of its own. One file a page; ``words`` for all."""
