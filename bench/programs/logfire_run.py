"""The same with logfire, sending to the OTLP endpoint in the environment (its way to other backends)."""

import logfire

logfire.configure(send_to_logfire=False, console=False, metrics=False, inspect_arguments=False)
with logfire.span("run"):
    pass
