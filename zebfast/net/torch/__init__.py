"""What of the networks runs on torch: modules to train, evaluation of v1 networks and on GPUs.

Reading order: `encoding` and `features` (records to what a module reads), `v1`, `v2`, `modules`
(either, by its config); then the fast way to evaluate a batch: `linear`, `v1_fast`, `v2_fast`,
`folded`, `evaluator` and what it uses on a GPU, `pipeline` and `cuda`. Everything outside this
folder, the learner and the tools runs without torch, and imports it from here where it is needed.
"""
