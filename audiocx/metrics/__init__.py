"""How good an estimate is: pure functions with their unit in their name, and thin accumulators over them.

The order is always (estimate, target). A perfect estimate gives `+inf` dB; where a score is undefined (a
silent target) it is NaN. A silent estimate of a target that is not silent has an SI-SDR of `-inf`, an SNR of
0 dB, and no SDR, PESQ or STOI.
"""
