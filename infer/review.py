"""Addresses at which a person can look at a place: Google Maps and OpenStreetMap. They are written down, never opened here."""

ZOOM = 10
"""Of the map that opens: a city and what lies around it."""

SANDBOX = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"
"""What a page in a frame may do: run its own script, save its files, and open these addresses in a window of their own."""


def google_maps_url(latitude: float, longitude: float) -> str:
    """Return the address of a place on Google Maps, in degrees.

    Source: Maps URLs, the documented form of links.
    """
    return f"https://www.google.com/maps/search/?api=1&query={latitude:.6f},{longitude:.6f}"


def openstreetmap_url(latitude: float, longitude: float) -> str:
    """Return the address of a place on OpenStreetMap, with a marker on it, in degrees."""
    place = f"{latitude:.6f}/{longitude:.6f}"
    return f"https://www.openstreetmap.org/?mlat={latitude:.6f}&mlon={longitude:.6f}#map={ZOOM}/{place}"


def review_urls(latitude: float, longitude: float) -> dict[str, str]:
    """Return the addresses of a place by what they are called."""
    return {
        "Google Maps": google_maps_url(latitude, longitude),
        "OpenStreetMap": openstreetmap_url(latitude, longitude),
    }
