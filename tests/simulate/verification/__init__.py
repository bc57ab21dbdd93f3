"""Changes with a known effect, and changes that never were: what the product concludes of them."""
