"""The packed tensor, its transpose, and where its arrays lie."""
