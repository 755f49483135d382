"""From a connected laptop to nodes without internet: lock, export, carry, import, serve, prove readiness.

index.py    what a bundle or a mirror holds: its entries with their cards, as JSON
licences.py texts of the licences that the catalogues use
lock.py     making a lock of what names mean now, and telling whether one still is what they mean
sync.py     bringing a cache to what a lock says
scripts/    which weights scripts ask for, by their syntax trees
bundle/     what is carried over by hand: a tar of index, cards, licences and blobs, made and taken in
doctor/     whether a node is ready: what it would miss, and what would mend each
expose/     cached weights where torch hub and huggingface_hub look for theirs, by links
mirror/     what a cache has where the nodes of a site fetch it: a folder, a store, an OCI registry
page/       the catalogue page of a mirror, for people: search, filters, a page for each model
"""
