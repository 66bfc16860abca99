"""Commands about users, their attributes and how the audience changed."""
