"""vmm bench: measures starts, and reports them."""
