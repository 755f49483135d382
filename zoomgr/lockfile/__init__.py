"""zoo.lock: the weights that a project uses, each with its whole sha256, as TOML that diffs well.

    version = 1
    scripts = ["train.py"]

    [models."torchvision/vgg16@imagenet1k_v1"]
    names = ["vgg16"]
    source = "torchvision"
    filename = "vgg16-397923af.pth"
    urls = ["https://download.pytorch.org/models/vgg16-397923af.pth"]
    size_bytes = 553433881
    sha256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
    license = "BSD-3-Clause"

    [models."torchvision/vgg16@imagenet1k_v1".adapter]
    name = …, distribution = …, version = …

    [models."torchvision/vgg16@imagenet1k_v1".card]
    arch = "torchvision/vgg16"
    …

Equal locks are equal bytes: tables are sorted by reference, and what has its default is left out.
"""

from zoomgr.lockfile.record import Lock, LockEntry

__all__ = ["Lock", "LockEntry"]  # reading and writing are imported where a project has a lock
