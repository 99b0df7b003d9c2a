"""The doctor: what is wrong with an installation of Thaw, and how to mend it. No torch here.

Each check is a small function that looks and changes nothing; `engine.doctor.checks` lists them.
"""
