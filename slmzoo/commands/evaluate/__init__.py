"""Commands of `slmzoo eval`, one file each; the metrics are functions of slmzoo.evaluation."""
