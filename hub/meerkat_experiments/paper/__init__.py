"""The experiments of the MELINDA paper (Information 2021, 12, 14, section 4), with our dispatcher."""
