"""How good the policy targets and plays of searches are, and what they cost."""
