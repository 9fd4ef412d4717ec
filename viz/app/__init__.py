"""Maps of the app (`python -m infer serve`): `area`, on which a box is drawn, and `game`, people against the network."""
