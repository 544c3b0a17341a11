"""The pages that browsers load: the meeting page and the script that points the official SDK here."""
