"""A model in use meets new images: classes are matched, the head grows, and what it forgets."""
