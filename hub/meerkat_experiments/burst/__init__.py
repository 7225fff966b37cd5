"""`meerkat simulate burst`: days of storms in a house, with the policy and the ledger of production."""
