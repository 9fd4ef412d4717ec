"""From label maps and photographs to the networks of a run, and to what makes their answers honest.

Read `config` (flags) and `registry` (losses by name), `tasks` (what is learned), `setup` (the network, photographs and optimiser of
a training), `loop` (the one training loop) with `data`, `losses`, `coordinates`, `optim`, `state`, `validate`, `distributed` and
`trackers`; then `heads` (heads that read all stages of a trained trunk), `refine` (coordinates inside cells), `calibrate` and
`conformal` (temperatures and regions), and `sweep` (many trainings). `recipes/` holds flags by name.
"""
