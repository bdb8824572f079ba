"""What everything stands on: errors, dtypes, limits, memory, and arrays as they are passed in."""
