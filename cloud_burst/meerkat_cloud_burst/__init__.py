"""Cloud burst: what the house cannot look at in time, rented machines do, under a ceiling of money."""
