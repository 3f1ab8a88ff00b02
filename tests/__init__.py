"""Folders mirror kontrast/; `journeys` has what goes through several rooms, `support` what tests share."""
