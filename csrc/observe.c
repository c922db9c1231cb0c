#include "observe.h"

ZF_HOT void zf_observe_rows(zf_obs *out, const zf_state *s, const int64_t *rows, size_t n) {
    for (size_t i = 0; i < n; i++) zf_observe(&out[i], &s[rows[i]]);
}

ZF_HOT void zf_uniform_evaluate(float *out, const zf_obs *obs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t legal = obs[i].legal;
        float p = 1.0f / (float)__builtin_popcount(legal | (legal == 0));
        for (int slot = 0; slot < ZF_HAND_SIZE; slot++)
            out[8 * i + slot] = legal >> slot & 1 ? p : 0.0f;
        out[8 * i + 7] = 0.0f;
    }
}

void zf_game_begin(zf_game *g, const zf_state *s) {
    memset(g, 0, sizeof *g);
    for (int seat = 0; seat < ZF_N_SEATS; seat++)
        for (int i = 0; i < ZF_HAND_SIZE; i++)
            g->hands[seat][i] = (uint8_t)zf_select(s->dealt[seat], (uint32_t)i, ZF_HAND_SIZE);
    g->decl = s->decl;
    g->leader = s->first_leader;
    g->contract = s->contract;
}

zf_game_fault zf_game_start(zf_state *s, const zf_game *g) {
    uint32_t hands[4] = {0, 0, 0, 0}, all = 0;
    if (g->decl >= ZF_N_DECLARATIONS || g->leader > 3) return ZF_GAME_BAD_DEAL;
    for (int seat = 0; seat < ZF_N_SEATS; seat++) {
        for (int i = 0; i < ZF_HAND_SIZE; i++) {
            uint8_t d = g->hands[seat][i];
            if (d >= ZF_N_DOMINOES || all >> d & 1) return ZF_GAME_BAD_DEAL;
            if (i > 0 && d < g->hands[seat][i - 1]) return ZF_GAME_BAD_DEAL; /* slots ascend */
            hands[seat] |= 1u << d;
            all |= 1u << d;
        }
    }
    if (!zf_contract_possible(&g->contract, g->leader)) return ZF_GAME_BAD_CONTRACT;
    zf_init(s, hands, g->decl, g->leader);
    s->contract = g->contract;
    return ZF_GAME_OK;
}

static void finish_examples(zf_example *out, const zf_state *end) {
    int outcome = zf_outcome(end);
    for (int ply = 0; ply < ZF_N_PLIES; ply++) {
        int seat = end->plays[ply] >> 5;
        out[ply].value = (float)(seat & 1 ? -outcome : outcome);
        out[ply].left = end->dealt[(seat + 1) & 3];
        out[ply].partner = end->dealt[(seat + 2) & 3];
        out[ply].flags |= ZF_HAS_BELIEF | ZF_HAS_POINTS;
        out[ply].flags |= (uint16_t)(end->points[seat & 1] << ZF_POINTS_SHIFT);
    }
}

zf_game_fault zf_game_examples(zf_example out[ZF_N_PLIES], const zf_game *game, int *ply) {
    zf_state s;
    *ply = 0;
    zf_game_fault fault = zf_game_start(&s, game);
    if (fault != ZF_GAME_OK) return fault;
    for (; *ply < ZF_N_PLIES; ++*ply) {
        zf_example *e = &out[*ply];
        uint8_t domino = game->plays[*ply];
        if (domino >= ZF_N_DOMINOES || !(zf_legal(&s) >> domino & 1)) return ZF_GAME_BAD_PLAY;
        zf_observe(&e->obs, &s);
        uint32_t any = 0;
        for (int slot = 0; slot < ZF_HAND_SIZE; slot++) {
            uint16_t w = game->policy[*ply][slot];
            if (w && !(e->obs.legal >> slot & 1)) return ZF_GAME_BAD_POLICY;
            e->policy[slot] = w;
            any |= w;
        }
        e->flags = any ? ZF_HAS_POLICY : 0;
        zf_play(&s, domino);
    }
    finish_examples(out, &s);
    return ZF_GAME_OK;
}
