"""Energy meters on a serial line, with a register that counts what vehicles really draw."""
