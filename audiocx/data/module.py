"""The base of all data modules: loaders over (seed, index) examples, and STFTs made on the device."""

from __future__ import annotations

import multiprocessing
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from audiocx.data.batch import Batch, Example, collate
from audiocx.data.loader import CarryingErrors, ExampleLoader, collate_or_carry
from audiocx.data.ready import ReadyTestSet
from audiocx.data.recording import CHANNELS
from audiocx.data.sampler import EndlessSampler
from audiocx.data.settings import check_above_zero, check_least, check_path
from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, DataError, describe
from audiocx.signal.stft import STFT

ITEM_SECONDS = 4.0
"""Length of a validation item, and of a test item that is made here."""


class SpectralDataModule(LightningDataModule, ABC):
    """Gives batches whose `mixture_stft` is filled in on the device, in float32.

    Training is counted in steps over an endless row of examples; a resumed run goes on with exactly the next
    one.
    Subclasses make the examples: `make_train`, `make_valid`, `make_test`, `fingerprint`, `describe`.

    Args:
        stft: the Separator's STFT; one object, handed to both.
        seed: of the training examples; validation and test do not depend on it.
        batch_size: examples in a batch, in each process.
        segment_seconds: length of a training example.
        num_workers: background processes that make training examples; 0 makes them in the training process.
        start_method: how workers start: `fork`, `spawn`, `forkserver`, or null for the platform's own.
        test: folder of a ready test set, which takes the place of the data's own.
        channel: which channel of a file is taken: `first`, `mean`, or `random`, drawn for each example.

    Raises:
        ConfigError: a setting does not fit.

    Attributes:
        stft_seconds: wall time spent in the STFT so far (on CUDA: the time to queue it).
        n_sources: sources of every example.
    """

    n_sources: int = 1

    def __init__(
        self,
        stft: STFT,
        seed: int,
        batch_size: int,
        segment_seconds: float,
        num_workers: int = 0,
        start_method: str | None = None,
        test: str | None = None,
        channel: str = "first",
    ) -> None:
        super().__init__()
        check_least(1, "batch_size", batch_size)
        check_least(0, "num_workers", num_workers)
        check_above_zero("segment_seconds", segment_seconds)
        if test is not None:
            check_path("test", test)
        methods = multiprocessing.get_all_start_methods()
        if start_method is not None and start_method not in methods:
            raise ConfigError(
                describe("data.start_method is not known", expected=" | ".join(methods), got=start_method)
            )
        if channel not in CHANNELS:
            raise ConfigError(
                describe("data.channel is not known", expected=" | ".join(CHANNELS), got=channel)
            )
        # A list hides the module from Lightning, which would otherwise count and move it as part of the data.
        self._stft = [stft]
        self.seed = seed
        self.batch_size = batch_size
        self.segment_seconds = segment_seconds
        self.num_workers = num_workers
        self.start_method = start_method
        self.test = test
        self.channel = channel
        self.stft_seconds = 0.0
        self._test_set: TestSet | None = None

    @property
    def stft(self) -> STFT:
        """The STFT of the batches."""
        return self._stft[0]

    @property
    def sample_rate(self) -> int:
        """Of every example, in Hz."""
        return self.stft.sample_rate

    @abstractmethod
    def make_train(self) -> Dataset[Example]:
        """Return the training examples, one for every index from 0 without end."""

    @abstractmethod
    def make_valid(self) -> Dataset[Example]:
        """Return the validation examples; they have a length."""

    @abstractmethod
    def make_test(self) -> TestSet:
        """Return the data's own test items."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a stable hash of what the data is: settings and content."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return facts for the log, as plain values."""

    def test_set(self) -> TestSet:
        """Return the test items: those of `data.test` where given, else the data's own.

        Raises:
            DataError: the folder of `data.test` is not there or is no folder of pairs.
        """
        if self._test_set is None:
            if self.test is None:
                self._test_set = self.make_test()
            else:
                self._test_set = ReadyTestSet(Path(self.test), self.sample_rate, self.channel)
        return self._test_set

    def setup(self, stage: str | None = None) -> None:
        """Check that training data and test set go together, before training rather than after it.

        Raises:
            DataError: they have different numbers of sources, or the test set's folder is not one.
        """
        if self.test is not None and self.test_set().n_sources != self.n_sources:
            raise DataError(
                describe(
                    f"{self.test}: the test set has another number of sources than the training data",
                    expected=self.n_sources,
                    got=self.test_set().n_sources,
                )
            )

    def _first_index(self) -> int:
        """Index of the next training example, the same in every process."""
        if self.trainer is None:
            return 0
        examples_per_step = self.batch_size * self.trainer.accumulate_grad_batches * self.trainer.world_size
        return self.trainer.global_step * examples_per_step

    def train_dataloader(self) -> ExampleLoader:
        """Return the endless loader over training examples; a worker's AudiocxError comes out as it is."""
        trainer = self.trainer
        sampler = EndlessSampler(
            self._first_index,
            rank=0 if trainer is None else trainer.global_rank,
            processes=1 if trainer is None else trainer.world_size,
        )
        return ExampleLoader(
            CarryingErrors(self.make_train()),
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate_or_carry,
            pin_memory=self._pin_memory(),
            persistent_workers=self.num_workers > 0,
            multiprocessing_context=self.start_method if self.num_workers > 0 else None,
        )

    def val_dataloader(self) -> DataLoader[Example]:
        """Return the loader over validation examples, in order.

        They are few and cheap, so they are made in the training process: a second set of workers would take
        memory and start-up time for nothing.
        """
        return DataLoader(
            self.make_valid(), batch_size=self.batch_size, collate_fn=collate, pin_memory=self._pin_memory()
        )

    def _pin_memory(self) -> bool:
        trainer = self.trainer
        return trainer is not None and trainer.strategy.root_device.type == "cuda"

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Fill in the mixture's STFT, on the device that the batch is on."""
        began = time.perf_counter()
        stft = self.stft
        if stft.window.device != batch.mixture.device:
            stft.to(batch.mixture.device)
        with torch.no_grad():
            batch.mixture_stft = stft(batch.mixture)
        self.stft_seconds += time.perf_counter() - began
        return batch
