"""How fast the service is, beside an empty handler and the limits of its stores, in one run."""
