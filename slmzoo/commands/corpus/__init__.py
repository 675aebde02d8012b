"""Commands on units: encode recordings and corpora, convert between toolkits."""
