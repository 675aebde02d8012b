"""Encoding of whole corpora: inputs, shards, engines for one machine or a cluster, and resumption."""
