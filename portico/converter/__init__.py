"""The program that converts one mjr file of Janus into one media file."""
