"""zoomgr: pretrained vision models by name, their bytes proven, loaded into the network you want."""
