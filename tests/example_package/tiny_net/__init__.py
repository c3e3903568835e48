"""A network of somebody else: an example of a package that brings an architecture and a sweep."""
