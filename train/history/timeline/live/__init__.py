"""Live exhibits: trained networks as lists of layers that the page computes in the reader's browser."""
