"""Speech encoders of convolutions and transformer blocks: waveforms, batches, windows, and fairseq's files."""
