"""What our code is compared with: loops in float64, and numbers of the released code."""
