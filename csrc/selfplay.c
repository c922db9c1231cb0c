#include "selfplay.h"

#include <math.h>
#include <stdlib.h>

#include "auction.h"
#include "cache.h"
#include "rng.h"
#include "tree_pool.h"

typedef struct {
    zf_tree *tree;
    uint64_t number; /* in the queue */
    uint64_t game;   /* what the randomness sees */
    bool active;
    bool fresh; /* a new root whose noise and worlds are still to be drawn */
    bool recorded; /* that root is searched with n_simulations, and its policy recorded */
    int opponents; /* side that the opponent plays for; -1: none */
} slot;

struct zf_selfplay {
    zf_selfplay_config config;
    zf_search fast; /* the search of decisions that are not recorded */
    zf_counts counts;
    zf_tree_pool pool;
    slot *slots;
    uint32_t *waiting; /* slots whose leaves were handed out, in leaf order */
    size_t n_waiting;
    zf_cache *cache; /* NULL: evaluations are not remembered */
    zf_obs *asked;   /* copies of the leaves that were handed out, for the cache */
    zf_game_queue queue;
    const slot *opposed; /* where the opponent was asked last; NULL: nowhere */
    bool refused;      /* its answer was not legal: no game goes on */
};

static bool allocate(zf_selfplay *f) {
    const zf_selfplay_config *c = &f->config;
    f->slots = calloc(c->n_trees, sizeof *f->slots);
    f->waiting = calloc(c->n_trees, sizeof *f->waiting);
    if (!f->slots || !f->waiting) return false;
    if (c->cache_bytes) {
        f->cache = zf_cache_new(c->cache_bytes);
        f->asked = calloc(c->n_trees, sizeof *f->asked);
        if (!f->cache || !f->asked) return false;
    }
    return zf_tree_pool_alloc(&f->pool, &c->search, c->n_trees, c->worlds == ZF_WORLDS_SAMPLED);
}

zf_selfplay *zf_selfplay_new(const zf_selfplay_config *c) {
    zf_selfplay *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->config = *c;
    f->queue = (zf_game_queue){.first_game = c->first_game, .stride = c->stride};
    f->fast = c->search;
    f->fast.n_simulations = c->search.fast_simulations;
    f->fast.noise_fraction = f->fast.gumbel_scale = 0.0f;
    if (!allocate(f)) {
        zf_selfplay_free(f);
        return NULL;
    }
    for (uint32_t i = 0; i < c->n_trees; i++) f->slots[i].tree = &f->pool.trees[i];
    return f;
}

void zf_selfplay_free(zf_selfplay *f) {
    if (!f) return;
    zf_tree_pool_free(&f->pool);
    zf_cache_free(f->cache);
    free(f->asked);
    free(f->slots);
    free(f->waiting);
    free(f);
}

zf_game_queue *zf_selfplay_queue(zf_selfplay *f) { return &f->queue; }

/* Write the plays from ply on into the record; those that were forced get their one-hot policy. */
static void record_plays(zf_game *g, const zf_state *s, int ply, bool searched) {
    for (; ply < s->n_plays; ply++) {
        uint32_t domino = s->plays[ply] & 31u, dealt = s->dealt[s->plays[ply] >> 5];
        g->plays[ply] = (uint8_t)domino;
        if (!searched)
            g->policy[ply][__builtin_popcount(dealt & ((1u << domino) - 1))] = 1;
        searched = false;
    }
}

/* The tree has a new root: decide how it is searched. */
static void meet_root(const zf_selfplay *f, slot *s) {
    float share = f->config.search.full_share;
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_CAP, s->game);
    s->fresh = true;
    s->recorded = share >= 1.0f || zf_unit(key, s->tree->root.n_plays) < (double)share;
}

/* Whether the game has an opponent and for which side: draws behind those of its decisions. */
static int draw_opponents(const zf_selfplay *f, const slot *s) {
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_CAP, s->game);
    if (!f->config.opponent.answer) return -1;
    if (zf_unit(key, ZF_N_PLIES) >= (double)f->config.opponent_share) return -1;
    return (int)zf_bounded(key, ZF_N_PLIES + 1, 2);
}

static void start_game(zf_selfplay *f, slot *s) {
    zf_state root;
    s->number = zf_game_queue_start(&f->queue, &s->game);
    s->active = true;
    zf_game_queue_deal(&f->queue, s->number, f->config.seed, s->game, &root);
    zf_play_forced(&root);
    record_plays(zf_game_queue_record(&f->queue, s->number), &root, 0, false);
    zf_tree_reset(s->tree, &root);
    s->opponents = draw_opponents(f, s);
    meet_root(f, s);
}

static const zf_search *search_of(const zf_selfplay *f, const slot *s) {
    return s->recorded ? &f->config.search : &f->fast;
}

/* The search of this root is over: record its policy, play, move the tree. False: game over. */
static bool play_searched(zf_selfplay *f, slot *s) {
    const zf_search *p = search_of(f, s);
    zf_tree *t = s->tree;
    zf_game *g = zf_game_queue_record(&f->queue, s->number);
    int ply = t->root.n_plays;
    uint16_t weights[ZF_MAX_EDGES];
    uint32_t slots = zf_compress(zf_legal(&t->root), t->root.dealt[t->root.to_play]);
    zf_tree_policy(t, p, weights);
    for (uint32_t i = 0; s->recorded && slots; slots &= slots - 1, i++)
        g->policy[ply][__builtin_ctz(slots)] = weights[i];
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_PLAY, s->game);
    uint32_t edge = zf_tree_choose(t, p, p->temperature, zf_bits(key, (uint64_t)ply));
    f->counts.searches++;
    f->counts.fast += !s->recorded;
    f->counts.reused += zf_tree_advance(t, edge);
    record_plays(g, &t->root, ply, true);
    meet_root(f, s);
    return !zf_over(&t->root);
}

/* The opponent plays, with no policy target; false where its answer is not legal. */
static bool play_opponent(zf_selfplay *f, slot *s) {
    zf_state state = s->tree->root;
    int ply = state.n_plays;
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_EVAL_PLAY, s->game);
    f->opposed = s;
    f->config.asking->at = (int64_t)s->game;
    uint32_t domino =
        zf_policy_choose(&f->config.opponent, &state, ZF_LEAST_BID, key, f->config.asking);
    f->refused = domino == ZF_N_DOMINOES;
    if (f->refused) return false;
    zf_play(&state, domino);
    zf_play_forced(&state);
    record_plays(zf_game_queue_record(&f->queue, s->number), &state, ply, true);
    zf_tree_reset(s->tree, &state);
    meet_root(f, s);
    return true;
}

/* Play the rest of a hand at random; only forced plays have a policy target. */
static void play_out(zf_selfplay *f, slot *s) {
    zf_state state = s->tree->root;
    zf_game *g = zf_game_queue_record(&f->queue, s->number);
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_PLAY, s->game);
    while (!zf_over(&state)) {
        uint32_t legal = zf_legal(&state), n = (uint32_t)__builtin_popcount(legal);
        int ply = state.n_plays;
        zf_play(&state, zf_select(legal, zf_bounded(key, (uint64_t)ply, n), ZF_MAX_EDGES));
        record_plays(g, &state, ply, n > 1);
    }
}

static void finish_game(zf_selfplay *f, slot *s) {
    zf_game_queue_finish(&f->queue, s->number);
    f->counts.games++;
    f->counts.plays += ZF_N_PLIES;
    s->active = false;
}

/* Up to the next leaf of this slot; false when it has no game left to play, or all is over. */
static bool run_slot(zf_selfplay *f, slot *s, zf_obs *leaf) {
    for (;;) {
        if (!s->active) {
            if (!zf_game_queue_has_next(&f->queue)) return false;
            start_game(f, s);
        }
        if (s->fresh && f->config.search.skip_decided && zf_decided(&s->tree->root)) {
            play_out(f, s);
            finish_game(f, s);
            continue;
        }
        if (s->fresh && (int)(s->tree->root.to_play & 1) == s->opponents) {
            if (!play_opponent(f, s)) return false;
            if (zf_over(&s->tree->root)) finish_game(f, s);
            continue;
        }
        const zf_search *p = search_of(f, s);
        if (s->fresh && s->tree->n_nodes > 0) {
            zf_tree_open(s->tree, p, f->config.seed, ZF_STREAM_WORLDS, s->game);
            s->fresh = false;
        }
        zf_step step = zf_tree_descend(s->tree, p, leaf, &f->counts);
        if (step == ZF_LEAF) {
            const float *known = f->cache ? zf_cache_find(f->cache, leaf) : NULL;
            if (!known) return true;
            f->counts.cache_hits++;
            zf_tree_expand(s->tree, known, &f->counts);
            continue;
        }
        f->counts.full += step == ZF_FULL;
        f->counts.stopped += step == ZF_STOPPED;
        if (!play_searched(f, s)) finish_game(f, s);
    }
}

size_t zf_selfplay_select(zf_selfplay *f, zf_obs *leaves) {
    f->n_waiting = 0;
    for (uint32_t i = 0; i < f->config.n_trees && !f->refused; i++)
        if (run_slot(f, &f->slots[i], &leaves[f->n_waiting])) f->waiting[f->n_waiting++] = i;
    if (ZF_UNLIKELY(f->refused)) f->n_waiting = 0;
    f->counts.evaluations += f->n_waiting;
    if (f->cache) memcpy(f->asked, leaves, f->n_waiting * sizeof *leaves);
    return f->n_waiting;
}

int64_t zf_selfplay_update(zf_selfplay *f, const float *evals) {
    for (size_t i = 0; i < 8 * f->n_waiting; i++)
        if (!isfinite(evals[i])) return (int64_t)(i / 8);
    for (size_t i = 0; i < f->n_waiting; i++) {
        zf_tree_expand(f->slots[f->waiting[i]].tree, evals + 8 * i, &f->counts);
        if (f->cache) zf_cache_store(f->cache, &f->asked[i], evals + 8 * i);
    }
    f->n_waiting = 0;
    return -1;
}

void zf_selfplay_clear_cache(zf_selfplay *f) {
    if (f->cache) zf_cache_clear(f->cache);
}

bool zf_selfplay_refused(const zf_selfplay *f) { return f->refused; }

int64_t zf_selfplay_replaced(const zf_selfplay *f) { return f->config.opponent.replaced; }

const zf_state *zf_selfplay_asked(const zf_selfplay *f) {
    return f->opposed ? &f->opposed->tree->root : NULL;
}

void zf_selfplay_counts(const zf_selfplay *f, zf_counts *out) { *out = f->counts; }

size_t zf_selfplay_bytes(const zf_selfplay *f) {
    const zf_selfplay_config *c = &f->config;
    size_t cache =
        f->cache ? zf_cache_bytes(f->cache) + c->n_trees * sizeof *f->asked : 0;
    return sizeof *f + c->n_trees * (sizeof *f->slots + sizeof *f->waiting) + cache +
           zf_tree_pool_bytes(&f->pool, &c->search);
}
