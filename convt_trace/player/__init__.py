"""A case as a picture: scenes made in Python, the JavaScript that draws them, and a page that holds both."""
