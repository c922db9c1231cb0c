"""Networks: the published transformer and the compact v2, checkpoints, the batched leaf evaluator.

Reading order: `output` (the sizes of what a network says), `packing` (records and v1 tokens), `v1`,
`features` and `v2` (the two kinds by their shapes), `networks` (either, by its tokenizer),
`checkpoint` (what a file may hold), `shipped` (the file that comes along), `precision`,
`evaluator`, and `devices`, which opens the evaluator that a network and a device want.
None of these needs torch; what does is in `torch`.
"""
