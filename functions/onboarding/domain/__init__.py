"""The domain: the customer, the messages, the events, and the rules. It knows neither AWS nor Lambda."""
