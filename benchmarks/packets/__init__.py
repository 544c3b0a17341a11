"""Participants whose media are packets that are encoded ahead and not decoded: ICE, DTLS and SRTP are real."""
