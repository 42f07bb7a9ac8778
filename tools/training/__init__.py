"""The parts of tools/train.py. What imports PyTorch is imported after the input was found good: that takes seconds."""
