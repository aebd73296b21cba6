"""From a user's array to visible units: statistics of columns, scaling, the choice of units, ranges."""
