"""How stores of earlier releases become those of this one: a step a schema, in order."""
