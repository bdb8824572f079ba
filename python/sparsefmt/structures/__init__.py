"""Where the stored values of a tensor are: one class per structure."""
