"""A bundle: what is carried by hand, as a plain tar whose members have one order, and are the same each time.

    index.json                    what it holds; the digest of each member below
    index.json.sig                ed25519 over the bytes of index.json, when it is signed
    cards/<name>.json             a card for each model, for people and other tools
    licences/<id>.txt             the texts of their licences, where they are known
    v1/blobs/sha256/ab/<hex>      the files, as in a cache

manifest.py   index.json: what must follow it in the tar
members.py    how a member lies in a tar
volumes.py    what it is written to: one file, or volumes that `cat` joins
source.py     what it is read from
signing.py    keys, signatures
exporting.py  cache -> bundle
importing.py  bundle -> cache
"""
