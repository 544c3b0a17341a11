"""Measurements that anyone can repeat: each prints its figures and the machine they were taken on."""
