
too many