"""Molecules: SMILES as graphs of atoms and bonds."""
