"""The shipped zoos: small weights, and JSON files that describe them like any user's zoo, one for each system."""
