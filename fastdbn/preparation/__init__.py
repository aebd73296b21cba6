"""From a table of people to numbers for a model, and back."""
