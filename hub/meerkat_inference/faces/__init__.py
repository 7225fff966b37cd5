"""Faces: describe them so that near means alike, and measure how well that tells people apart.

embedder    what an embedder is           dlib_embedder, engine_embedder   the two kinds
alignment   eyes, nose and mouth laid on a template      landmarks   where they are
quality     whether a face is fit to be recognised       loading     opens an embedder
process     one job of the task recognise_faces
measuring   identification against the unknown: pure numbers; pictures, variations: what is measured
"""
