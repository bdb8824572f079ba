"""Products: their dtypes, what each way costs, the plan, and the ways."""
