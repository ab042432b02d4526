"""The same with sentry-sdk: this process is one transaction. The address comes from SENTRY_DSN."""

import sentry_sdk

sentry_sdk.init(traces_sample_rate=1.0)
with sentry_sdk.start_transaction(name="run"):
    pass
