"""Houses and clouds for the tests of policy and ledger."""
