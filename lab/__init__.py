"""What measures and simulates. Nothing of the product imports it."""
