"""Customer onboarding, in three parts.

`domain` has the customer, the events and the rules; `adapters` what keeps and passes them on: tables, queues, the bus,
mail, downstream systems; `runtime` what Lambda needs. The domain knows neither of the other two, nor they each other.
"""

import gc

# Importing makes many objects that stay: to look for garbage among them takes a tenth of a cold start's CPU time.
gc.set_threshold(50_000)
