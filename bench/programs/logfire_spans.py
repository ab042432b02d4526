import batches
import logfire

logfire.configure(send_to_logfire=False, console=False, metrics=False, inspect_arguments=False)
with logfire.span("run"):
    batches.compare(logfire.instrument("empty")(batches.empty))
