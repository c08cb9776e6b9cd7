"""Using a trained Separator on arrays and files of any rate, length and channel count, in bounded memory."""
