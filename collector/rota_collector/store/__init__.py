"""What the collector keeps: projections of the journal, each with its own offset in its own transaction."""
