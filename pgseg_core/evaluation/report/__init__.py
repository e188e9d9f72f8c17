"""What an evaluation leaves behind: numbers, a page, and comparisons of two."""
