"""Audio files in and out: reading, streaming resampling, finding and writing; rests on `errors` alone."""
