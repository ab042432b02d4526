"""What a policy asks of a run, on the host that runs it: permission for its functions.

Nothing here is imported unless the workflow has a policy that asks (see ``rota._watch``). It decides by ``rota.rules`` or by
what an agent or the collector answers; it prints nothing, and ends nothing but by what the policy says.
"""
