"""Spans exist inside a transaction only, and a transaction keeps the first 1,000: one a batch."""

import batches
import sentry_sdk

sentry_sdk.init(traces_sample_rate=1.0)
batches.compare(sentry_sdk.trace(batches.empty), around=lambda: sentry_sdk.start_transaction(name="run"))
