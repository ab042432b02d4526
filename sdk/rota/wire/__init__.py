"""What travels: attribute names (``names``), OTLP-JSON (``events``), how a client secures it (``tls``). Standard library only."""
