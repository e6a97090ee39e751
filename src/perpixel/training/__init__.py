"""Training: any module that maps an image to logits, a recipe, and data. No models are named here."""
