"""Corpora, mixing and data modules: from recordings or rendered sounds to batches of complex STFTs.

A data module gives data sets; a data set gives an `Example` for an index; examples of one length make a `Batch`.
Words: a *part* is train, valid or test; a *recording* is what was recorded at once, maybe in several files;
a *piece* is cut out of one; a *pair* is a ready mixture with its targets; a *store* is many files decoded into one.

Shared      batch           Example, Batch, and how the one becomes the other
            module          base of the data modules: loaders, the STFT on the device
            loader          errors of workers, raised as they were
            test_set        what scoring wants; ready: a folder of pairs as a test set
            sampler         indices without end, from the step that a run has reached
            randomness      numbers that depend on (seed, index, stream) alone
            settings        checks of what a user sets; parts: names of the parts
            activity        in which frames somebody speaks; narrow_band: what has nothing above 4 kHz
            mixing          levels and ratios
            guard           stops where something stands in two parts; sound_hashes, copies: by its sound
            cache, progress where things are kept; work on many files

data=synthetic, rendered once
            synthetic       the data module
            synthetic_mixtures    its examples
            corpus, rendering     what is rendered and read; how
            voices, texts, espeak, harmonic_voice    who speaks, what, and the two engines
            noises, noise_families, sound_parts      families of noise, and what they are made of

data=mix, one's own recordings
            mix             the data module
            mix_sources     tables, parts and sounds of speech, noise and room responses, opened together
            table, where, splitting, splits_file    rows of a CSV or folder; which are wanted; which part each is of
            sounds, sound_store        the store: reading it, making it; sixteen_bits: how samples are kept
            draws           which sound comes next; crops: which piece of it
            reverberation   speech in a room
            mix_maker, mix_examples    one example of all that; the data sets
            augmentation    how examples are varied; augment_channel, augment_recorder: by what

data=folder, ready pairs
            folder          the data module
            pairs           which files belong together
            recording       one file at the wanted rate; survey: what each holds, remembered in the cache
            folder_pieces   its examples
"""
