"""From an image to feature maps: the convolutional trunks that the papers share."""
