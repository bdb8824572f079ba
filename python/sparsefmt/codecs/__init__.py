"""How each stored value is stored: one class per codec."""
