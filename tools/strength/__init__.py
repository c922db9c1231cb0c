"""How strong players are: matches, what networks say, the records of both and the page of them."""
