"""Jobs of recordings: conversion, and the care of mjr files."""
