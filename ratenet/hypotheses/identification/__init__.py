"""Identification: which rule made measured changes, and how much data would tell."""
