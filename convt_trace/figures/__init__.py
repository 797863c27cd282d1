"""A case as a figure of plotly's, for a paper or a slide, drawn from the message that the player gets."""
