#include "selfplay.h"

#include <math.h>
#include <stdlib.h>

#include "engine.h"
#include "rng.h"

typedef struct {
    zf_tree tree;
    uint64_t number; /* of the own sequence */
    uint64_t game;   /* first_game + number * stride: what the randomness sees */
    bool active;
    bool fresh; /* a new root whose noise and worlds are still to be drawn */
} slot;

struct zf_selfplay {
    zf_selfplay_config config;
    zf_counts counts;
    slot *slots;
    uint32_t *waiting; /* slots whose leaves were handed out, in leaf order */
    size_t n_waiting;
    uint64_t next, limit, capacity;
    zf_game *records;
    uint8_t *done;
    zf_node *nodes;
    zf_edge *edges;
    uint16_t *scratch;
    zf_world *worlds;  /* NULL: trees grow on the true deal */
    zf_solver *solver; /* NULL: no endings are solved */
};

static size_t edges_of(const zf_selfplay_config *c) {
    return (size_t)c->n_trees * zf_edge_capacity(c->search.max_nodes);
}

static size_t worlds_of(const zf_selfplay_config *c) {
    return c->worlds == ZF_WORLDS_SAMPLED ? (size_t)c->n_trees * zf_worlds_room(&c->search) : 0;
}

static bool allocate(zf_selfplay *f) {
    const zf_selfplay_config *c = &f->config;
    size_t n_worlds = worlds_of(c);
    f->slots = calloc(c->n_trees, sizeof *f->slots);
    f->waiting = calloc(c->n_trees, sizeof *f->waiting);
    f->nodes = calloc((size_t)c->n_trees * c->search.max_nodes, sizeof *f->nodes);
    f->edges = calloc(edges_of(c), sizeof *f->edges);
    f->scratch = calloc(c->search.max_nodes, sizeof *f->scratch);
    if (n_worlds) f->worlds = calloc(n_worlds, sizeof *f->worlds);
    if (c->search.exact_tricks) f->solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS);
    return f->slots && f->waiting && f->nodes && f->edges && f->scratch &&
           (f->worlds || !n_worlds) && (f->solver || !c->search.exact_tricks);
}

zf_selfplay *zf_selfplay_new(const zf_selfplay_config *c) {
    zf_selfplay *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->config = *c;
    if (!allocate(f)) {
        zf_selfplay_free(f);
        return NULL;
    }
    for (uint32_t i = 0; i < c->n_trees; i++) {
        f->slots[i].tree.nodes = f->nodes + (size_t)i * c->search.max_nodes;
        f->slots[i].tree.edges = f->edges + (size_t)i * zf_edge_capacity(c->search.max_nodes);
        f->slots[i].tree.scratch = f->scratch;
        f->slots[i].tree.solver = f->solver;
        if (f->worlds)
            f->slots[i].tree.worlds = f->worlds + (size_t)i * zf_worlds_room(&c->search);
    }
    return f;
}

void zf_selfplay_free(zf_selfplay *f) {
    if (!f) return;
    free(f->slots);
    free(f->waiting);
    free(f->nodes);
    free(f->edges);
    free(f->scratch);
    free(f->worlds);
    if (f->solver) zf_solver_free(f->solver);
    free(f);
}

void zf_selfplay_limit(zf_selfplay *f, uint64_t limit, zf_game *records, uint8_t *done,
                       uint64_t capacity) {
    f->limit = limit;
    f->records = records;
    f->done = done;
    f->capacity = capacity;
}

static zf_game *record_of(zf_selfplay *f, const slot *s) {
    return &f->records[s->number % f->capacity];
}

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

static void start_game(zf_selfplay *f, slot *s) {
    zf_state root;
    zf_game *g;
    s->number = f->next++;
    s->game = f->config.first_game + s->number * f->config.stride;
    s->active = s->fresh = true;
    zf_deal(&root, f->config.seed, ZF_STREAM_DEAL, s->game);
    g = record_of(f, s);
    memset(g, 0, sizeof *g);
    for (int seat = 0; seat < 4; seat++)
        for (int i = 0; i < 7; i++)
            g->hands[seat][i] = (uint8_t)zf_select(root.dealt[seat], (uint32_t)i, 7);
    g->decl = root.decl;
    g->leader = root.first_leader;
    zf_play_forced(&root);
    record_plays(g, &root, 0, false);
    zf_tree_reset(&s->tree, &root);
}

/* The search of this root is over: record its visits, play, move the tree. False: game over. */
static bool play_searched(zf_selfplay *f, slot *s) {
    zf_tree *t = &s->tree;
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    zf_game *g = record_of(f, s);
    int ply = t->root.n_plays;
    uint32_t dealt = t->root.dealt[t->root.to_play];
    uint32_t slots = zf_compress(zf_legal(&t->root), dealt);
    for (uint32_t i = 0; slots; slots &= slots - 1, i++)
        g->policy[ply][__builtin_ctz(slots)] = edges[i].visits;
    uint64_t key = zf_stream_key(f->config.seed, ZF_STREAM_PLAY, s->game);
    uint32_t edge =
        zf_tree_choose(t, f->config.search.temperature, zf_bits(key, (uint64_t)ply));
    f->counts.searches++;
    f->counts.reused += zf_tree_advance(t, edge);
    record_plays(g, &t->root, ply, true);
    s->fresh = true;
    return !zf_over(&t->root);
}

static void finish_game(zf_selfplay *f, slot *s) {
    f->done[s->number % f->capacity] = 1;
    f->counts.games++;
    f->counts.plays += ZF_N_PLIES;
    s->active = false;
}

/* Up to the next leaf of this slot; false when it has no game left to play. */
static bool run_slot(zf_selfplay *f, slot *s, zf_obs *leaf) {
    const zf_search *p = &f->config.search;
    for (;;) {
        if (!s->active) {
            if (f->next >= f->limit) return false;
            start_game(f, s);
        }
        if (s->fresh && s->tree.n_nodes > 0) {
            if (p->noise_fraction > 0.0f)
                zf_tree_add_noise(&s->tree, p, f->config.seed, s->game);
            zf_tree_draw_worlds(&s->tree, p, f->config.seed, ZF_STREAM_WORLDS, s->game);
            s->fresh = false;
        }
        zf_step step = zf_tree_descend(&s->tree, p, leaf, &f->counts);
        if (step == ZF_LEAF) return true;
        f->counts.full += step == ZF_FULL;
        if (!play_searched(f, s)) finish_game(f, s);
    }
}

size_t zf_selfplay_select(zf_selfplay *f, zf_obs *leaves) {
    f->n_waiting = 0;
    for (uint32_t i = 0; i < f->config.n_trees; i++)
        if (run_slot(f, &f->slots[i], &leaves[f->n_waiting])) f->waiting[f->n_waiting++] = i;
    return f->n_waiting;
}

int64_t zf_selfplay_update(zf_selfplay *f, const float *evals) {
    for (size_t i = 0; i < 8 * f->n_waiting; i++)
        if (!isfinite(evals[i])) return (int64_t)(i / 8);
    for (size_t i = 0; i < f->n_waiting; i++)
        zf_tree_expand(&f->slots[f->waiting[i]].tree, evals + 8 * i, &f->counts);
    f->n_waiting = 0;
    return -1;
}

void zf_selfplay_counts(const zf_selfplay *f, zf_counts *out) { *out = f->counts; }

size_t zf_selfplay_bytes(const zf_selfplay *f) {
    const zf_selfplay_config *c = &f->config;
    return sizeof *f + c->n_trees * (sizeof *f->slots + sizeof *f->waiting) +
           (size_t)c->n_trees * c->search.max_nodes * sizeof *f->nodes +
           edges_of(c) * sizeof *f->edges + c->search.max_nodes * sizeof *f->scratch +
           worlds_of(c) * sizeof *f->worlds + (f->solver ? zf_solver_bytes(f->solver) : 0);
}
