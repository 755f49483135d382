"""From a connected laptop to nodes without internet: lock, export, carry, import, serve, prove readiness.

index.py    what a bundle or a mirror holds: its entries with their cards, as JSON
"""
