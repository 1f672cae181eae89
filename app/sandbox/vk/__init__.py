"""VK API 5.199 and its Callback API, as far as a back office reads and writes them."""
