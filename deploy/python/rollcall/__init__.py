"""What programs in Python import of Rollcall: `rollcall.client`."""
