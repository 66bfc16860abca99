"""What programs import of Rollcall: :mod:`rollcall.client`."""
