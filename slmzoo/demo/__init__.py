"""The shipped demo zoo: small weights, and `zoo.json`, which describes them like any user's zoo."""
