"""Networks: what sees."""
