"""The second front door: a page and a JSON API over the same `Segmenter` as the commands.

It knows the core and no terminal; the core knows nothing of it. Needs the extra `serve`.
"""
