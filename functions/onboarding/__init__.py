"""Customer onboarding, in three parts.

`domain` has the customer, the events and the rules; `adapters` what keeps and passes them on: tables, queues, the bus,
mail, downstream systems; `runtime` what Lambda needs. The domain knows neither of the other two, nor they each other.
"""
