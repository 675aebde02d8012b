"""SLMTokBench (arXiv 2308.16692, section 2): text and information that tokens of speech keep."""
