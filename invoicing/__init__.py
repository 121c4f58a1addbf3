"""Who is billed, what is measured, what it costs, and what was used. Knows no HTTP."""
