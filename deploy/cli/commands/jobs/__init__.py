"""Commands about uploads and what became of them."""
