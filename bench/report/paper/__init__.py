"""Tables in the form of a paper's: a model of them, and a renderer per format."""
