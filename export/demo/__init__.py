"""A page on localhost that runs an exported file in the browser: see and hear what it does before it is in an app."""
