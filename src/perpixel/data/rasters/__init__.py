"""Images too large to decode whole: read by windows, written tile by tile, their place on the map kept."""
