#include "lanes.h"

#include "observe.h"

ZF_HOT size_t zf_lanes_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n,
                               zf_obs *obs) {
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        zf_state *lane = &s[live[i]];
        uint8_t last = until[live[i]];
        while (lane->n_plays < last) {
            uint32_t legal = zf_legal(lane);
            if (legal & (legal - 1)) break;
            zf_play(lane, (uint32_t)__builtin_ctz(legal));
        }
        if (lane->n_plays >= last) continue;
        zf_observe(&obs[open], lane);
        live[open++] = live[i];
    }
    return open;
}

ZF_HOT void zf_lanes_favourites(zf_state *s, const int64_t *live, size_t n, const float *evals) {
    for (size_t i = 0; i < n; i++) {
        zf_state *lane = &s[live[i]];
        uint32_t legal = zf_compress(zf_legal(lane), lane->dealt[lane->to_play]);
        zf_play(lane, zf_slot_domino(lane, zf_favourite(evals + 8 * i, legal)));
    }
}

void zf_rewind(zf_state *s, uint8_t n_plays) {
    zf_state before;
    zf_init(&before, s->dealt, s->decl, s->first_leader);
    for (int i = 0; i < n_plays; i++) zf_play(&before, s->plays[i] & 31u);
    *s = before;
}
