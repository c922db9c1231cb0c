#include "rollouts.h"

#include "observe.h"

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

ZF_HOT void zf_rollouts_greedy(zf_state *s, const int64_t *live, size_t n, const float *evals) {
    for (size_t i = 0; i < n; i++) zf_rollout_greedy(&s[live[i]], evals + 8 * i);
}
