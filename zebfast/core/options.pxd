# Written by tools/gen_options.py from zebfast/core/options.py. Do not edit.
from libc.stdint cimport uint32_t


cdef extern from "options.h" nogil:
    ctypedef enum zf_root:
        ZF_ROOT_PUCT
        ZF_ROOT_GUMBEL

    ctypedef struct zf_search:
        uint32_t n_simulations
        uint32_t max_nodes
        uint32_t n_worlds
        uint32_t exact_tricks
        float c_puct
        zf_root root
        float temperature
        float noise_fraction
        float noise_alpha
        float gumbel_scale
        bint early_stop
        bint transpositions
        float full_share
        uint32_t fast_simulations
        bint skip_decided

    ctypedef enum zf_teacher:
        ZF_TEACHER_EXACT
        ZF_TEACHER_ROLLOUT

    ctypedef struct zf_label_options:
        zf_teacher teacher
        float label_share
        uint32_t n_worlds
        float temperature
        float explore
        uint32_t exact_tricks


cdef inline zf_search search_struct(object options) except *:
    """The C twin of checked SearchOptions."""
    cdef zf_search made
    made.n_simulations = options.n_simulations
    made.max_nodes = options.max_nodes
    made.n_worlds = options.n_worlds
    made.exact_tricks = options.exact_tricks
    made.c_puct = options.c_puct
    made.root = ZF_ROOT_PUCT if options.root == "puct" else ZF_ROOT_GUMBEL
    made.temperature = options.temperature
    made.noise_fraction = options.noise_fraction
    made.noise_alpha = options.noise_alpha
    made.gumbel_scale = options.gumbel_scale
    made.early_stop = options.early_stop
    made.transpositions = options.transpositions
    made.full_share = options.full_share
    made.fast_simulations = options.fast_simulations
    made.skip_decided = options.skip_decided
    return made


cdef inline zf_label_options label_options(object options) except *:
    """The C twin of checked TeachingOptions."""
    cdef zf_label_options made
    made.teacher = ZF_TEACHER_EXACT if options.teacher == "exact" else ZF_TEACHER_ROLLOUT
    made.label_share = options.label_share
    made.n_worlds = options.n_worlds
    made.temperature = options.temperature
    made.explore = options.explore
    made.exact_tricks = options.exact_tricks
    return made
