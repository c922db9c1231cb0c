#include "rollouts.h"

#include <math.h>

#include "clock.h"
#include "observe.h"

enum { SIDE_BY_SIDE = 256 };

ZF_HOT size_t zf_rollouts_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n,
                                  zf_obs *obs) {
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        zf_state *rollout = &s[live[i]];
        if (!zf_rollout_to_choice(rollout, until[live[i]])) continue;
        zf_observe(&obs[open], rollout);
        live[open++] = live[i];
    }
    return open;
}

/* A number that tells apart what seats see. Twin: rollouts.sights in zebfast/arena/players. */
ZF_INLINE uint64_t sight_of(const zf_obs *obs) {
    uint64_t words[6] = {0}, found = 0;
    _Static_assert(sizeof *obs <= sizeof words, "all that is seen");
    memcpy(words, obs, sizeof *obs);
    for (int i = 0; i < 6; i++) found = zf_bits(found + words[i], 0);
    return found;
}

/* What the model plays for the seat to play, which has a choice; false where that is not legal. */
static bool play_by_model(zf_rollout_model *model, zf_state *s) {
    zf_obs seen;
    zf_observe(&seen, s);
    uint64_t key = zf_stream_key(0, ZF_STREAM_EVAL_PLAY, sight_of(&seen));
    uint32_t domino = zf_policy_choose(&model->player, s, model->bid, key, model->run);
    if (ZF_UNLIKELY(domino == ZF_N_DOMINOES)) return false;
    zf_play(s, domino);
    return true;
}

/* As zf_rollouts_advance, and *n becomes how many wait; the model's choices are made, too. False
 * where one of them is not legal: then all that are not done are still in live. */
static bool advance(zf_rollout_model *model, zf_state *s, const uint8_t *until, int64_t *live,
                    size_t *n, zf_obs *obs) {
    size_t open = 0;
    if (!model) {
        *n = zf_rollouts_advance(s, until, live, *n, obs);
        return true;
    }
    for (size_t i = 0; i < *n; i++) {
        int64_t number = live[i];
        zf_state *rollout = &s[number];
        uint32_t is_open;
        while ((is_open = zf_rollout_to_choice(rollout, until[number])) &&
               ((rollout->to_play ^ model->players[number]) & 1)) {
            model->run->at = number;
            if (play_by_model(model, rollout)) continue;
            memmove(live + open, live + i, (*n - i) * sizeof *live);
            *n -= i - open;
            return false;
        }
        if (!is_open) continue;
        zf_observe(&obs[open], rollout);
        live[open++] = number;
    }
    *n = open;
    return true;
}

ZF_HOT void zf_rollouts_greedy(zf_state *s, const int64_t *live, size_t n, const float *evals) {
    for (size_t i = 0; i < n; i++) zf_rollout_greedy(&s[live[i]], evals + 8 * i);
}

/* Ask the network. False if an answer is not finite. */
static bool ask(zf_net *net, const zf_obs *obs, size_t n, float *evals) {
    if (zf_net_evaluate(net, obs, n, evals) < n) return false;
    bool finite = true;
    for (size_t i = 0; i < 8 * n; i++) finite &= isfinite(evals[i]) != 0;
    return finite;
}

/* Take out those that end with a value; returns how many of now[0..n) go on. */
static size_t leave(const zf_rollout_values *v, const zf_state *s, int64_t *now, size_t n,
                    float *evals) {
    size_t stay = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t rollout = now[i];
        const zf_state *at = &s[rollout];
        if (at->to_play == v->player[rollout] && at->n_plays >= v->since[rollout]) {
            v->value[rollout] = evals[8 * i + 7];
            continue;
        }
        now[stay] = rollout;
        memmove(evals + 8 * stay++, evals + 8 * i, 8 * sizeof *evals);
    }
    return stay;
}

zf_rollouts_end zf_rollouts_run(zf_net *net, zf_state *s, const uint8_t *until,
                                const zf_rollout_values *values, zf_rollout_model *model,
                                int64_t *live, size_t *n, double seconds) {
    zf_obs obs[SIDE_BY_SIDE];
    float evals[8 * SIDE_BY_SIDE];
    int64_t now[SIDE_BY_SIDE]; /* those under way: what is left of live[0..next) */
    size_t n_now = 0, next = 0;
    double ends = zf_now() + seconds;
    zf_rollouts_end end = ZF_ROLLOUTS_OPEN;
    do {
        bool well = advance(model, s, until, now, &n_now, obs);
        while (well && n_now < SIDE_BY_SIDE && next < *n) {
            size_t more = SIDE_BY_SIDE - n_now < *n - next ? SIDE_BY_SIDE - n_now : *n - next;
            memcpy(now + n_now, live + next, more * sizeof *now);
            next += more;
            well = advance(model, s, until, now + n_now, &more, obs + n_now);
            n_now += more;
        }
        if (!well) {
            end = ZF_ROLLOUTS_UNUSABLE;
        } else if (n_now == 0) {
            end = ZF_ROLLOUTS_DONE;
        } else if (!ask(net, obs, n_now, evals)) {
            end = ZF_ROLLOUTS_REFUSED;
        } else {
            if (values) n_now = leave(values, s, now, n_now, evals);
            zf_rollouts_greedy(s, now, n_now, evals);
        }
    } while (end == ZF_ROLLOUTS_OPEN && zf_now() < ends);
    memmove(live + n_now, live + next, (*n - next) * sizeof *live);
    memcpy(live, now, n_now * sizeof *live);
    *n = n_now + *n - next;
    return end;
}
