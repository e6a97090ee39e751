"""From pixels to a label for each of them, with any network: image -> logits."""
