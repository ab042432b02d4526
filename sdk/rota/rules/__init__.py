"""Pure decisions, standard library only: one copy, used by the SDK, the agent, the collector, the CLI and the tests."""
