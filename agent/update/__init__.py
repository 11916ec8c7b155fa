"""New software for the charge point: fetched, checked, installed while nobody charges, proved or taken back."""
