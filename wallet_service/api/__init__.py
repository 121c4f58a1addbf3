"""REST, in Lago's shapes where Lago has the resource."""
