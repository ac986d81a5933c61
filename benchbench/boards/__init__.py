"""Records -> ranked tables, and the pages, charts and submissions made of them."""
