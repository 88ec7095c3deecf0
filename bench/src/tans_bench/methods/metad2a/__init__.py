"""MetaD2A: generate an architecture from a dataset, and judge it without training.

Reference: Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs
from Datasets, ICLR 2021.
"""
