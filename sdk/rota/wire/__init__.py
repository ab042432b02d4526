"""What travels: the attribute names (``names``) and the rendering of OTLP-JSON (``events``). Standard library only."""
