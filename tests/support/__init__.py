"""What tests share: data, methods, processes that die, and what is asked of them."""
