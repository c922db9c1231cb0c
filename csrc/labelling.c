#include "labelling.h"

#include <math.h>
#include <stdlib.h>

#include "observe.h"
#include "rng.h"
#include "rollouts.h"
#include "solve.h"
#include "tree.h"
#include "worlds.h"

enum {
    /* Work of one select: some tens of milliseconds, so that whoever asks for an end is heard. */
    NODES_A_SELECT = 1 << 20,
};

/* One rollout under way. */
typedef struct {
    zf_state state;
    uint8_t play; /* slot of the play it began with */
} rollout;

typedef enum {
    TO_ASK, /* at a decision whose policy is not known */
    ASKED,
    KNOWN,   /* not yet looked at by the teacher */
    ROLLING, /* rollouts under way */
} phase;

typedef struct {
    zf_state state;
    uint64_t number, game; /* in the queue; what the randomness sees */
    bool active;
    phase phase;
    float prior[ZF_HAND_SIZE];
    uint32_t slots; /* legal ones */
    rollout *rollouts;
    uint32_t n_rollouts;
    /* Of each legal play, by slot: sums over the worlds, for the side of the seat to play. */
    int32_t points[ZF_HAND_SIZE], signs[ZF_HAND_SIZE];
    uint32_t n_worlds; /* 0 = this decision gets no label */
    /* Final points of team 0 if everybody plays greedily from here on: a rollout of the play
     * before has shown it. -1 = not known. */
    int32_t known;
} slot;

struct zf_labelling {
    zf_labelling_config config;
    zf_labelling_counts counts;
    zf_solver *solver;
    slot *slots;
    rollout *rollouts;
    uint32_t (*hands)[4]; /* of the worlds of one decision */
    /* In order of observations: 2 * slot, or 2 * slot + 1 for a rollout of it, and which one. */
    uint32_t *waiting, *rollout_of;
    size_t n_waiting;
    uint32_t turn; /* the slot that the next select begins with */
    zf_game_queue queue;
};

static size_t rollouts_of(const zf_labelling_config *c) {
    size_t worlds = c->labels.n_worlds ? c->labels.n_worlds : 1;
    return c->labels.teacher == ZF_TEACHER_ROLLOUT ? ZF_MAX_EDGES * worlds : 0;
}

size_t zf_labelling_room(const zf_labelling_config *c) {
    size_t rollouts = rollouts_of(c);
    return c->n_games * (rollouts ? rollouts : 1);
}

zf_labelling *zf_labelling_new(const zf_labelling_config *c) {
    zf_labelling *t = calloc(1, sizeof *t);
    size_t room = zf_labelling_room(c), rollouts = rollouts_of(c);
    if (!t) return NULL;
    t->config = *c;
    t->queue = (zf_game_queue){.first_game = c->first_game, .stride = c->stride};
    t->solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS);
    t->slots = calloc(c->n_games, sizeof *t->slots);
    t->rollouts = calloc(c->n_games * rollouts + 1, sizeof *t->rollouts);
    t->hands = calloc(c->labels.n_worlds + 1, sizeof *t->hands);
    t->waiting = calloc(room, sizeof *t->waiting);
    t->rollout_of = calloc(room, sizeof *t->rollout_of);
    if (!t->solver || !t->slots || !t->rollouts || !t->hands || !t->waiting || !t->rollout_of) {
        zf_labelling_free(t);
        return NULL;
    }
    for (uint32_t i = 0; i < c->n_games; i++) t->slots[i].rollouts = t->rollouts + i * rollouts;
    return t;
}

void zf_labelling_free(zf_labelling *t) {
    if (!t) return;
    if (t->solver) zf_solver_free(t->solver);
    free(t->slots);
    free(t->rollouts);
    free(t->hands);
    free(t->waiting);
    free(t->rollout_of);
    free(t);
}

zf_game_queue *zf_labelling_queue(zf_labelling *t) { return &t->queue; }

/* The first decision at or behind the position, or the end of the game. */
static void meet_decision(slot *s) {
    zf_play_forced(&s->state);
    s->phase = TO_ASK;
    if (!zf_over(&s->state))
        s->slots = zf_compress(zf_legal(&s->state), s->state.dealt[s->state.to_play]);
}

static void start_game(zf_labelling *t, slot *s) {
    s->number = zf_game_queue_start(&t->queue, &s->game);
    s->active = true;
    s->known = -1;
    zf_game_queue_deal(&t->queue, s->number, t->config.seed, s->game, &s->state);
    meet_decision(s);
}

static void finish_game(zf_labelling *t, slot *s) {
    zf_game *g = zf_game_queue_record(&t->queue, s->number);
    for (int ply = 0; ply < ZF_N_PLIES; ply++) g->plays[ply] = s->state.plays[ply] & 31u;
    zf_game_queue_finish(&t->queue, s->number);
    t->counts.games++;
    t->counts.plays += ZF_N_PLIES;
    s->active = false;
}

/* The play from which on rollouts are solved. */
static int stop_of(const zf_labelling *t) {
    return ZF_N_PLIES - ZF_N_SEATS * (int)t->config.labels.exact_tricks;
}

/* Play forced dominoes of a rollout. Final points of team 0 if that ends it, else -1. */
static int run_rollout(zf_labelling *t, zf_state *s) {
    if (zf_rollout_to_choice(s, stop_of(t))) return -1;
    if (zf_over(s)) return s->points[0];
    zf_position p;
    zf_position_of(&p, s);
    t->counts.solver_calls++;
    return s->points[0] + zf_solve(t->solver, &p);
}

/* In one world, team 0 ends with so many points after the play in this slot. */
static void add_points(slot *s, uint32_t play, int team0) {
    uint32_t side = s->state.to_play & 1;
    int own = side ? ZF_TOTAL_POINTS - team0 : team0;
    s->points[play] += own;
    s->signs[play] += zf_reached(zf_aim_of(&s->state.contract, side), own);
}

/* What follows each legal play with the hands of w, by the solver. */
static void solve_plays(zf_labelling *t, slot *s, const zf_state *w) {
    int8_t points[ZF_N_DOMINOES];
    zf_position p;
    zf_position_of(&p, w);
    zf_solve_plays(t->solver, &p, points);
    t->counts.solver_calls++;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t play = (uint32_t)__builtin_ctz(slots);
        add_points(s, play, w->points[0] + points[zf_slot_domino(w, play)]);
    }
}

/* A rollout of each legal play with the hands of w; none of a play whose end is known. */
static void open_rollouts(zf_labelling *t, slot *s, const zf_state *w) {
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t play = (uint32_t)__builtin_ctz(slots);
        if (s->known >= 0 && play == zf_greedy_slot(s->prior, s->slots)) {
            add_points(s, play, s->known);
            continue;
        }
        rollout *l = &s->rollouts[s->n_rollouts];
        l->state = *w;
        l->play = (uint8_t)play;
        zf_play(&l->state, zf_slot_domino(w, play));
        int team0 = run_rollout(t, &l->state);
        t->counts.rollouts++;
        if (team0 >= 0)
            add_points(s, play, team0);
        else
            s->n_rollouts++;
    }
}

/* The worlds of a decision into t->hands: all there are, or draws as sample_worlds makes them. */
static uint32_t draw_worlds(zf_labelling *t, const slot *s) {
    zf_world_set set;
    uint64_t count = zf_worlds_init(&set, &s->state, s->state.to_play);
    uint32_t n = t->config.labels.n_worlds;
    uint64_t key = zf_stream_key(t->config.seed, ZF_STREAM_WORLDS, s->game);
    if (count > n) {
        zf_worlds_sample_many(&set, key, (uint64_t)s->state.n_plays << 32, n, t->hands);
        return n;
    }
    for (uint32_t i = 0; i < count; i++) zf_worlds_unrank(&set, i, t->hands[i]);
    return (uint32_t)count;
}

/* Begin to label the decision, if it is one of those to be labelled: none is of a hand whose
 * contract is decided, which ends there. */
static void teach(zf_labelling *t, slot *s) {
    uint64_t key = zf_stream_key(t->config.seed, ZF_STREAM_CAP, s->game);
    s->phase = ROLLING;
    s->n_rollouts = s->n_worlds = 0;
    if (s->state.contract.bid && zf_decided(&s->state)) return;
    if (zf_unit(key, s->state.n_plays) >= (double)t->config.labels.label_share) return;
    memset(s->points, 0, sizeof s->points);
    memset(s->signs, 0, sizeof s->signs);
    bool sampled = t->config.labels.n_worlds > 0;
    s->n_worlds = sampled ? draw_worlds(t, s) : 1;
    for (uint32_t i = 0; i < s->n_worlds; i++) {
        zf_state w = s->state;
        if (sampled) zf_worlds_apply(&w, t->hands[i]);
        if (t->config.labels.teacher == ZF_TEACHER_EXACT)
            solve_plays(t, s, &w);
        else
            open_rollouts(t, s, &w);
    }
}

/* Means over n worlds as one label: eighths of a point, and won less lost in 63rds, from -1 on.
 * zebfast/selfplay/play_values.py packs and unpacks the same. 0 is no label. */
static uint16_t pack_label(int points, int signs, int n) {
    int eighths = (16 * points + n) / (2 * n);
    int balance = (2 * 63 * (n + signs) + n) / (2 * n);
    return (uint16_t)((eighths + 1) << 7 | balance);
}

static void record_label(zf_labelling *t, const slot *s) {
    uint16_t *labels = zf_game_queue_record(&t->queue, s->number)->labels[s->state.n_plays];
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        int play = __builtin_ctz(slots);
        labels[play] = pack_label(s->points[play], s->signs[play], (int)s->n_worlds);
    }
    t->counts.labels++;
}

/* The slot that the game goes on with: by the policy, or sometimes at random. */
static uint32_t choose(const zf_labelling *t, const slot *s) {
    const zf_labelling_config *c = &t->config;
    uint64_t ply = s->state.n_plays, noise = zf_stream_key(c->seed, ZF_STREAM_NOISE, s->game);
    uint32_t best = zf_greedy_slot(s->prior, s->slots), last = best;
    if (zf_unit(noise, 2 * ply) < (double)c->labels.explore) {
        uint32_t n = (uint32_t)__builtin_popcount(s->slots);
        return zf_select(s->slots, zf_bounded(noise, 2 * ply + 1, n), ZF_MAX_EDGES);
    }
    if (c->labels.temperature == 0.0f || !(s->prior[best] > 0.0f)) return best;
    double weight[ZF_HAND_SIZE], sum = 0.0;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(slots);
        double share = (double)s->prior[i] / (double)s->prior[best];
        sum += weight[i] = share > 0.0 ? pow(share, 1.0 / (double)c->labels.temperature) : 0.0;
    }
    double at = zf_unit(zf_stream_key(c->seed, ZF_STREAM_PLAY, s->game), ply) * sum;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(slots);
        if (at < weight[i]) return i;
        at -= weight[i];
    }
    return last;
}

/* Record the label, play, and go to the next decision. */
static void play_on(zf_labelling *t, slot *s) {
    uint32_t play = choose(t, s);
    bool on_deal = t->config.labels.teacher == ZF_TEACHER_ROLLOUT && t->config.labels.n_worlds == 0;
    if (s->n_worlds) {
        int points = s->points[play];
        record_label(t, s);
        s->known = !on_deal ? -1 : s->state.to_play & 1 ? ZF_TOTAL_POINTS - points : points;
    } else if (play != zf_greedy_slot(s->prior, s->slots)) {
        s->known = -1;
    }
    zf_play(&s->state, zf_slot_domino(&s->state, play));
    meet_decision(s);
    /* From here on the rollout was solved: what it showed was not greedy play. */
    if (s->state.n_plays >= stop_of(t)) s->known = -1;
}

static void hand_out(zf_labelling *t, zf_obs *obs, const zf_state *s, uint32_t who,
                     uint32_t which) {
    zf_observe(&obs[t->n_waiting], s);
    t->waiting[t->n_waiting] = who;
    t->rollout_of[t->n_waiting++] = which;
}

/* Up to where this slot needs the network; nothing is handed out if it has no game left. */
static void run_slot(zf_labelling *t, uint32_t number, zf_obs *obs) {
    slot *s = &t->slots[number];
    for (;;) {
        if (!s->active) {
            if (!zf_game_queue_has_next(&t->queue)) return;
            start_game(t, s);
        }
        if (zf_over(&s->state)) {
            finish_game(t, s);
            continue;
        }
        if (s->phase == TO_ASK) {
            hand_out(t, obs, &s->state, 2 * number, 0);
            s->phase = ASKED;
            return;
        }
        if (s->phase == KNOWN) teach(t, s);
        if (s->n_rollouts) {
            for (uint32_t i = 0; i < s->n_rollouts; i++)
                hand_out(t, obs, &s->rollouts[i].state, 2 * number + 1, i);
            return;
        }
        play_on(t, s);
    }
}

size_t zf_labelling_select(zf_labelling *t, zf_obs *obs) {
    uint64_t enough = zf_solver_nodes(t->solver) + NODES_A_SELECT;
    uint32_t n = t->config.n_games;
    t->n_waiting = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (t->n_waiting && zf_solver_nodes(t->solver) >= enough) break;
        run_slot(t, t->turn, obs);
        t->turn = t->turn + 1 == n ? 0 : t->turn + 1;
    }
    t->counts.evaluations += t->n_waiting;
    return t->n_waiting;
}

/* A rollout's evaluation: the greedy play, and on to the next decision. True if that ended it. */
static bool advance_rollout(zf_labelling *t, slot *s, rollout *l, const float *eval) {
    zf_rollout_greedy(&l->state, eval);
    int team0 = run_rollout(t, &l->state);
    if (team0 >= 0) add_points(s, l->play, team0);
    return team0 >= 0;
}

int64_t zf_labelling_update(zf_labelling *t, const float *evals) {
    for (size_t i = 0; i < 8 * t->n_waiting; i++)
        if (!isfinite(evals[i])) return (int64_t)(i / 8);
    for (size_t i = t->n_waiting; i-- > 0;) { /* backwards: an ended one is replaced by the last */
        slot *s = &t->slots[t->waiting[i] / 2];
        if (t->waiting[i] & 1) {
            rollout *l = &s->rollouts[t->rollout_of[i]];
            if (advance_rollout(t, s, l, evals + 8 * i)) *l = s->rollouts[--s->n_rollouts];
        } else {
            memcpy(s->prior, evals + 8 * i, sizeof s->prior);
            s->phase = KNOWN;
        }
    }
    t->n_waiting = 0;
    return -1;
}

void zf_labelling_clear_cache(zf_labelling *t) {
    for (uint32_t i = 0; i < t->config.n_games; i++) t->slots[i].known = -1;
}

void zf_labelling_counts_of(const zf_labelling *t, zf_labelling_counts *out) { *out = t->counts; }

size_t zf_labelling_bytes(const zf_labelling *t) {
    const zf_labelling_config *c = &t->config;
    size_t room = zf_labelling_room(c);
    return sizeof *t + zf_solver_bytes(t->solver) + c->n_games * sizeof *t->slots +
           (c->n_games * rollouts_of(c) + 1) * sizeof *t->rollouts +
           (c->labels.n_worlds + 1) * sizeof *t->hands + 2 * room * sizeof *t->waiting;
}
