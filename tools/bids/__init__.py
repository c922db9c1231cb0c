"""What bids are worth: hands played without sight, what is fitted to them, and whether it holds."""
