"""From data to rule: recordings, families of rules, and the coefficients that fit."""
