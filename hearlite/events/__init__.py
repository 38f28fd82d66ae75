"""Find events, such as coughs, in sound of any length: with times, from the scores over time of a file with steps."""
