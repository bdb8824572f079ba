"""mergekit YAML: what it says, and which tensor it makes of which."""
