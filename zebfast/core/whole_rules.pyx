"""What one whole game and many have in common: rule sets as C has them, and what is refused."""

from zebfast.rules import (
    ALL_DECLARATIONS,
    PHASES,
    HouseDeclaration,
    IllegalCall,
    IllegalDeclaration,
    IllegalPlay,
    RuleSet,
    WrongPhase,
    domino_name,
    doubles_in,
    illegal_call,
    refused_call,
    refused_declaration,
    wrong_phase,
)

from zebfast.core.engine cimport ZF_N_DOMINOES, dominoes_of


class NoStraightHand(ValueError):
    """A hand of nello or sevens, which network, search, worlds and solver cannot play."""


cdef rules_of(object rule_set, zf_rule_set *r):
    """The settings as C has them."""
    if not isinstance(rule_set, RuleSet):
        raise TypeError(f"a RuleSet is needed, not {type(rule_set).__name__}")
    straight = rule_set.straight_declarations()
    nello = rule_set.house_declarations(7, forced=True)
    r.target = rule_set.target
    r.for_points = rule_set.scoring == "points"
    r.drop30 = rule_set.auction == "drop30"
    r.force = rule_set.all_pass == "force"
    r.most_reshakes = rule_set.most_reshakes
    r.forced_bid = rule_set.forced_bid
    r.opening_marks = rule_set.opening_marks
    r.most_marks = rule_set.most_marks
    r.straight = sum(1 << (decl - 8) for decl in straight if decl >= 8)
    r.nello = sum(1 << (decl - ZF_NELLO) for decl in nello if decl != HouseDeclaration.SEVENS)
    r.nello_marks = rule_set.nello_marks
    r.nello_forced = rule_set.nello_forced
    r.sevens_forced = rule_set.sevens_forced
    r.forced_sweep = rule_set.forced_sweep
    r.plunge = rule_set.plunge
    r.splash = rule_set.splash
    r.sevens = rule_set.sevens
    r.partner_leads = rule_set.partner_leads
    r.early_end = rule_set.early_end


cdef list calls_of(uint32_t legal, const zf_rule_set *r, uint32_t standing):
    return [zf_call_of_bit(r, standing, bit) for bit in range(ZF_SPLASH_BIT + 1)
            if legal >> bit & 1]


cdef str where_of(const zf_whole_game *g):
    return f"hand {g.n_hands + (g.phase != ZF_PHASE_OVER)}: "


cdef wrong_phase_error(const zf_whole_game *g, uint8_t wanted, str where):
    seat = zf_whole_seat(g)
    return WrongPhase(wrong_phase(
        where + where_of(g), PHASES[g.phase], None if seat == ZF_NOBODY else seat,
        None if g.winner == ZF_NO_TEAM else g.winner, PHASES[wanted]))


cdef call_error(const zf_whole_game *g, const zf_rule_set *r, rule_set, call, str where):
    """The error for a call that the rules do not allow."""
    seat, made = zf_whole_seat(g), [g.calls[i] for i in range(g.n_calls)]
    legal = calls_of(zf_whole_legal(g, r), r, g.bid)
    why = illegal_call(rule_set, made, doubles_in(dominoes_of(g.hand.dealt[seat])), call,
                       must_bid=zf_whole_must_bid(g, r))
    return IllegalCall(refused_call(where + where_of(g), seat, call, why, legal))


cdef declaration_error(const zf_whole_game *g, const zf_rule_set *r, decl, str where):
    return IllegalDeclaration(refused_declaration(
        where + where_of(g), zf_whole_seat(g), decl, g.bid, dominoes_of(zf_whole_legal(g, r))))


cdef play_error(const zf_whole_game *g, const zf_rule_set *r, domino, str where):
    name = domino_name(domino) if 0 <= domino < ZF_N_DOMINOES else f"domino {domino}"
    allowed = ", ".join(map(domino_name, dominoes_of(zf_whole_legal(g, r))))
    return IllegalPlay(f"{where}{where_of(g)}seat {zf_whole_seat(g)} may not play {name}; "
                       f"legal plays are {allowed}")


cdef no_straight_hand(const zf_whole_game *g, str where):
    """The error for a hand of nello or sevens that is asked for as a straight one."""
    return NoStraightHand(
        f"{where}{where_of(g)}{ALL_DECLARATIONS[g.hand.decl]} is played by its own rules: network, "
        "search, worlds and solver know straight hands alone")


def auction_perft(rule_set=None):
    """Number of complete auctions among hands that can neither plunge nor splash.

    >>> auction_perft()
    3214
    """
    cdef zf_rule_set r
    rules_of(rule_set or RuleSet(), &r)
    return zf_auction_perft(&r)
