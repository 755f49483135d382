"""Signatures of bundles: ed25519, with keys as `openssl` and `ssh-keygen` make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.errors import InvalidKeyError, MissingPackageError, reason_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
"""Of any ed25519 signature: RFC 8032, section 5.1.6."""


def private_key(path: Path, passphrase: Callable[[], str]) -> Ed25519PrivateKey:
    """The key that signs, from a PEM or an OpenSSH file.

    Args:
        path: the file.
        passphrase: is asked for when the file is encrypted.

    Raises:
        InvalidKeyError: the file holds no such key, or another passphrase opens it.
        MissingPackageError: `zoomgr[sign]` is not installed.
    """
    content = _content(path)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    except ImportError as error:
        raise _missing() from error
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in content else load_pem_private_key
    try:
        try:
            key = load(content, None)
        except (TypeError, ValueError) as error:  # which of them, depends on the format
            if "password" not in str(error).lower():
                raise
            key = load(content, passphrase().encode())
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKeyError(str(path), f"no private key can be read from it: {reason_of(error)}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidKeyError(str(path), "it is a key of another kind than ed25519")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """A key by which a signature is known, from a PEM file or a line of OpenSSH; raises as `private_key`."""
    content = _content(path)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key
    except ImportError as error:
        raise _missing() from error
    load = load_ssh_public_key if content.startswith(b"ssh-") else load_pem_public_key
    try:
        key = load(content)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKeyError(str(path), f"no public key can be read from it: {reason_of(error)}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidKeyError(str(path), "it is a key of another kind than ed25519")
    return key


def is_signed_by(content: bytes, signature: bytes, keys: Sequence[Ed25519PublicKey]) -> bool:
    """Whether one of the keys has signed the content."""
    return any(_verifies(key, signature, content) for key in keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidKeyError(str(path), reason_of(error)) from error


def _missing() -> MissingPackageError:
    return MissingPackageError("a signature", "zoomgr[sign]")
