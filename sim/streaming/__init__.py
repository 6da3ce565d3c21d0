"""Streaming dataflow: units and bounded FIFOs, simulated exactly, sized, and their deadlocks named."""
