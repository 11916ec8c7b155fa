"""The charge point's key for what it states in writing (commissioning reports). Never used for a connection.

Loads ``cryptography``: import it when something is to be signed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.config.schema import KeyType
from agent.security.certificates import new_key
from agent.security.files import SecretFileError, write_secret

NAME = "statement-key.pem"


class StatementKey:
    """A P-256 key in the security folder, made when first needed. Slow at first use: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA signature over SHA-256 (DER). Raises SecretFileError."""
        return self._key().sign(data, ec.ECDSA(hashes.SHA256()))

    def public_pem(self) -> str:
        """Return the public key (SubjectPublicKeyInfo, PEM). Raises SecretFileError."""
        public = self._key().public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(
            "ascii"
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the public key's DER form, in hexadecimal. Raises SecretFileError."""
        der = (
            self._key()
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return hashlib.sha256(der).hexdigest()

    def _key(self) -> ec.EllipticCurvePrivateKey:
        try:
            if not self._path.exists():
                write_secret(self._path, new_key(KeyType.P256))
            key = serialization.load_pem_private_key(self._path.read_bytes(), None)
        except SecretFileError:
            raise
        except (OSError, ValueError, TypeError) as error:
            raise SecretFileError(f"{self._path}: cannot be read ({error}); remove it, and a new key is made") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SecretFileError(f"{self._path}: holds no P-256 key; remove it, and a new one is made")
        return key
