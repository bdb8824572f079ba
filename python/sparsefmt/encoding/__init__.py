"""From arrays to parts and from structure to structure: format texts, routes, encoding in one go."""
