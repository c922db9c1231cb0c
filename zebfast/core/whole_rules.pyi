"""Types of whole_rules.pyx; what everything does is said there, where help() shows it."""

from zebfast.rules import RuleSet

class NoStraightHand(ValueError): ...

def auction_perft(rule_set: RuleSet | None = None) -> int: ...
