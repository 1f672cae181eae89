"""The content plan: posts, their categories, the mix."""
