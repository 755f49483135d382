"""A mirror for a site: what a cache has, where the nodes of a site can fetch it.

    index.json                    what it holds, with cards: written last
    index.html, …                 the catalogue page, for people
    v1/blobs/sha256/ab/<hex>      the files, as in a cache
    v1/refs/<name>.json           which file a reference means, as in a cache
    v1/cards/<name>.json          cards of weights of one's own, as in a cache

place.py      what all kinds of places have in common; which one a destination is
folder.py     a folder, which may be a cache layer too, or be served by any web server
store.py      whatever fsspec writes to: S3, SFTP, …
registry.py   an OCI registry: one artifact a model
client.py     how registries are spoken to, by oras
sync.py       cache -> mirror
"""
