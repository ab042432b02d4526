"""What a policy asks of a process and of its functions: permission, retries.

The room's rule: nothing here is imported before the file ``$ROTA_HOME/policy/<workflow>.json`` is seen to be there. It never
prints, and ends no process but by what the policy says.
"""
