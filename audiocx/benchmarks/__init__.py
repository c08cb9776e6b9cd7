"""Speed and memory of layers and models beside those of other libraries."""
