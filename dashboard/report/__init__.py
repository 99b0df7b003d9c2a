"""A comparison of runs as one file that works anywhere: HTML with its charts, or Markdown.

`build.py` collects what is known of the runs, the functions of `sections.SECTIONS` make blocks of
it, and `html.py` and `markdown.py` write the same blocks down. No Streamlit here.
"""
