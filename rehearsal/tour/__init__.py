"""The tour: from a changed notebook to production and back, as people would do it, on a rehearsal of its own."""
